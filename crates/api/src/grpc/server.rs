//! The server side: any implementation of a trait, served.

use std::sync::Arc;

use super::door::Door;

/// Largest message, either way: all clusters of a hub, or a file of RBAC objects.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An implementation of a domain trait, as the generated server traits want it.
#[derive(Debug)]
pub struct Served<T> {
    pub(crate) engine: Arc<T>,
    pub(crate) door: Door,
}

impl<T> Served<T> {
    /// Serves an implementation to those who come through a door.
    pub fn new(engine: Arc<T>, door: Door) -> Self {
        Self { engine, door }
    }
}

impl<T> Clone for Served<T> {
    fn clone(&self) -> Self {
        Self { engine: Arc::clone(&self.engine), door: self.door.clone() }
    }
}

/// The message of a request, once its door has let it pass, and before it what its answer goes by.
macro_rules! taken {
    (list $request:ident) => {
        $crate::grpc::Listing::open($request.into_inner())?
    };
    (mutation $request:ident) => {
        ($crate::grpc::NoListing, $crate::methods::Managed::masked($request.into_inner())?)
    };
    ($kind:ident $request:ident) => {
        ($crate::grpc::NoListing, $request.into_inner())
    };
}
pub(crate) use taken;

/// Waits for those looks at a call that may have to ask for a key.
macro_rules! passed {
    (internal $look:expr) => {
        $look
    };
    (unsigned $look:expr) => {
        $look
    };
    ($kind:ident $look:expr) => {
        $look.await
    };
}
pub(crate) use passed;

/// Makes the generated server trait of a domain trait, method by method:
///
/// `<kind> <method>(<request>) -> <response> = |engine, by, message| <answer>;`
///
/// The kind is a method of [`Door`]: `mutation`, `actor`, `list`, `question`, `internal` or `unsigned`; what it gives is `by`. The message
/// of a mutation comes as its update mask has it, that of a list with where the page before ended in place of its token. The rest of the list, after `=>`, goes into the trait as it is.
macro_rules! serve {
    (
        $(#[$doc:meta])*
        pub fn $constructor:ident = $domain:ident as $server:ident::$wire:ident in $kind_of_server:ident;
        $($kind:ident $rpc:ident($request:ty) -> $response:ty = |$engine:ident, $by:pat_param, $message:pat_param| $answer:expr;)*
        $(=> { $($rest:tt)* })?
    ) => {
        $(#[$doc])*
        pub fn $constructor<T: $domain>(
            served: $crate::grpc::Served<T>,
        ) -> $server::$kind_of_server<$crate::grpc::Served<T>> {
            $server::$kind_of_server::new(served)
                .max_decoding_message_size($crate::grpc::MESSAGE_BYTES_MAX)
                .max_encoding_message_size($crate::grpc::MESSAGE_BYTES_MAX)
        }

        #[tonic::async_trait]
        impl<T: $domain> $server::$wire for $crate::grpc::Served<T> {
            $(
                async fn $rpc(
                    &self,
                    request: tonic::Request<$request>,
                ) -> Result<tonic::Response<$response>, tonic::Status> {
                    let $by = $crate::grpc::passed!($kind self.door.$kind(&request))?;
                    let (listing, $message) = $crate::grpc::taken!($kind request);
                    let $engine = &*self.engine;
                    Ok(tonic::Response::new(listing.close($answer)))
                }
            )*
            $($($rest)*)?
        }
    };
}
pub(crate) use serve;
