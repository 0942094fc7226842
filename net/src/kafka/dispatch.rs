//! From a request's header to its handler, for all APIs off the hot path.

use super::audit::Audit;
use super::authorizer::{Admission, Admit, Judge};
use super::codec::wire::NAMED_MAX;
use super::context::Context;
use super::request_context::RequestContext;
use crate::kafka::codec::wire::{
    self, Bytes, BytesMut, KafkaMessage, KafkaRequest, RequestResponsePair, WireError,
};
use core::ops::RangeInclusive;
use engine::control::View;

/// One API. Handlers run one after the other on a connection; produce and fetch have their own
/// way (`produce`, `fetch`).
pub(crate) trait Handler {
    type Request: Admit + 'static;
    /// The versions answered, all of which are advertised.
    const VERSIONS: RangeInclusive<i16>;

    /// How many things the request names: none where it has no lists.
    fn named(_request: &Self::Request) -> usize {
        0
    }

    /// Fills in the names of topics that are named by id: rights go by names.
    fn resolve(_request: &mut Self::Request, _view: &View, _version: i16) {}

    /// Drops what is named again, where Kafka answers it once.
    fn merge(_request: &mut Self::Request) {}

    async fn handle(
        context: &Context,
        asked: &RequestContext,
        request: Self::Request,
    ) -> <Self::Request as RequestResponsePair>::Response;
}

/// The API key of a handler.
pub(crate) const fn key_of<H: Handler>() -> i16 {
    <H::Request as KafkaRequest>::API_KEY.value()
}

/// Kafka's name of a handler's API.
pub(crate) fn name_of<H: Handler>() -> &'static str {
    let name = <H::Request as KafkaMessage>::NAME;
    name.strip_suffix("Request").unwrap_or(name)
}

/// Decodes the body, handles it and gives the answer's bytes behind the response header.
pub(crate) async fn answer<H>(
    context: &Context,
    asked: &RequestContext,
    body: Bytes,
    decoded: impl FnOnce(),
) -> Result<BytesMut, WireError>
where
    H: Handler,
    <H::Request as RequestResponsePair>::Response: 'static,
{
    let version = asked.version;
    let mut request = wire::decode_owned::<H::Request>(body, version)?;
    let named = H::named(&request);
    if named > NAMED_MAX {
        return Err(WireError::Named(named));
    }
    H::merge(&mut request);
    decoded();
    let response = judged::<H>(context, asked, request).await;
    let mut bytes = BytesMut::new();
    if is_flexible::<H>(version) {
        // The response header's tagged fields: none.
        bytes.extend_from_slice(&[0]);
    }
    wire::encode(&mut bytes, &response, version)?;
    Ok(bytes)
}

/// Carries out what of the request may be asked.
async fn judged<H>(
    context: &Context,
    asked: &RequestContext,
    mut request: H::Request,
) -> <H::Request as RequestResponsePair>::Response
where
    H: Handler,
    <H::Request as RequestResponsePair>::Response: 'static,
{
    H::resolve(&mut request, &context.view(), asked.version);
    let judge = Judge::of(context, asked, name_of::<H>());
    let admission = judge.map_or(Admission::Whole, |judge| request.admit(&judge, asked.version));
    let after = match admission {
        Admission::Whole => None,
        Admission::Part(after) => Some(after),
        Admission::Denied(response) => return response,
    };
    let audit = Audit::of(asked, &request, &context.view()).await;
    let mut response = H::handle(context, asked, request).await;
    if let Some(audit) = audit {
        audit.tell(&response, &context.view()).await;
    }
    if let Some(after) = after {
        after(&mut response);
    }
    response
}

/// True when the request header of this version has tagged fields, too.
pub(crate) fn is_flexible<H: Handler>(version: i16) -> bool {
    <H::Request as KafkaMessage>::is_flexible(wire::ApiVersion::new(version))
}
