# The one program, `lanyard`, as an image: `docker build -t lanyard .`. deploy/docker-compose.yml runs the suite with it.
#
# Both base images are arguments. The first has a Rust toolchain (of at least `rust-version` in Cargo.toml), a C compiler and the
# system's authorities; the second the C library of the same Debian, and a shell for the set-up of deploy/docker-compose.yml.
ARG BUILD_IMAGE=rust:1-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
# The profile of what is shipped: minutes more than --release, for a program that is smaller and quicker.
RUN cargo build --profile dist --locked --package lanyard && install -D target/dist/lanyard /out/lanyard
# What each process has of its own lies in a folder of its own, to be a volume: for the user below alone. `out` is the command line's, for
# files that are carried elsewhere.
RUN for part in hub authn mapping authz credentials gateway awsapi spoke out; do install -d -m 0700 /out/parts/$part; done

FROM ${RUNTIME_IMAGE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/lanyard /usr/local/bin/lanyard
COPY --from=build --chown=65532:65532 /out/parts /var/lib/lanyard
USER 65532:65532
ENV HOME=/var/lib/lanyard
ENTRYPOINT ["lanyard"]
CMD ["--help"]
