//! A refusal as every route of the API words it.

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// `{"statusCode": 401, "message": "…", "error": {"code": "token_expired", "detail": "…"}}`.
///
/// The code is for programs and does not change; message and detail are for people and hold no secret
/// and no number of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status of the answer.
    pub status: StatusCode,
    /// One word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: Cow<'static, str>,
    /// What would have been right, where that helps.
    pub detail: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    status_code: u16,
    message: &'a str,
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl Refusal {
    /// A refusal without detail.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), detail: None }
    }

    /// The same with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Body {
            status_code: self.status.as_u16(),
            message: &self.message,
            error: Inner { code: self.code, detail: self.detail.as_deref() },
        };
        let mut answer = (self.status, Json(body)).into_response();
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    #[tokio::test]
    async fn a_refusal_has_the_shape_that_clients_know() {
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "token_expired", "The token has expired.");
        for (refusal, expected) in [
            (
                refusal.clone(),
                r#"{"statusCode":401,"message":"The token has expired.","error":{"code":"token_expired"}}"#,
            ),
            (
                refusal.with_detail("an hour ago"),
                r#"{"statusCode":401,"message":"The token has expired.","error":{"code":"token_expired","detail":"an hour ago"}}"#,
            ),
        ] {
            let answer = refusal.into_response();
            assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
            let body = to_bytes(answer.into_body(), 4096).await.unwrap();
            assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
        }
    }
}
