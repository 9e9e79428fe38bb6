# The node agent as an image of one static program: `docker build -f deploy/agent.Dockerfile -t lanyard-agent .`. deploy/agent.yaml runs
# it. The base image has a Rust toolchain (of at least `rust-version` in Cargo.toml), a C compiler and the system's authorities.
ARG BUILD_IMAGE=rust:1-bookworm

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
# Built, and looked at whether it is static.
RUN cargo xtask agent --out /out/lanyard-agent
# For the published agent's DaemonSet, which calls it so, by a runner that the program is too.
RUN ln -s lanyard-agent /out/eks-pod-identity-agent && ln -s lanyard-agent /out/go-runner
# Names are looked for in the hosts file that the kubelet writes, and then asked of the name server: said here, and not left to what
# the C library does without being told.
RUN install -d /out/etc/ssl/certs && echo 'hosts: files dns' >/out/etc/nsswitch.conf \
    && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/

FROM scratch
COPY --from=build /out/ /
# One heap for all of its threads, of which one does nearly everything: by default each that allocates beside another has one of its own.
# And what is of a page or more is given back at once, such as the buffers of a connection that has ended.
ENV GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=4000
ENTRYPOINT ["/lanyard-agent"]
CMD ["server"]
