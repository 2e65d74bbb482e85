//! Answers as Exotel's front doors give them: forms of errors, headers, broken bodies.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body::Frame;
use serde_json::json;

use super::options::{SmsBreach, Unauthorized};
use super::row::escape;

/// An answer before it is sent.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

/// How a family of paths spells its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `{"RestException": …}`: v1 paths that end in `.json`.
    Json,
    /// `<TwilioResponse><RestException>…`: other v1 paths.
    Xml,
    /// The envelope of v2.
    Envelope,
}

const JSON: &str = "application/json";
const XML: &str = "application/xml; charset=utf-8";
const HTML: &str = "text/html";
const TEXT: &str = "text/plain; charset=utf-8";

/// More than any client should take: 10 MB and a bit.
const HUGE: usize = 10_500_000;

impl Answer {
    pub(super) fn json(body: String) -> Self {
        Self { status: StatusCode::OK, content_type: JSON, body }
    }

    pub(super) fn xml(body: String) -> Self {
        Self { status: StatusCode::OK, content_type: XML, body }
    }

    /// An error in the form of its path.
    pub(super) fn error(form: Form, status: StatusCode, message: &str) -> Self {
        Self::coded(form, status, message, &json!(null))
    }

    fn coded(form: Form, status: StatusCode, message: &str, code: &serde_json::Value) -> Self {
        let number = status.as_u16();
        let (content_type, body) = match form {
            Form::Json => {
                let mut exception = json!({"Status": number, "Message": message});
                if !code.is_null() {
                    exception["Code"] = code.clone();
                }
                (JSON, json!({"RestException": exception}).to_string())
            }
            Form::Xml => {
                let message = escape(message);
                let exception = format!("<Status>{number}</Status><Message>{message}</Message>");
                (XML, format!("<TwilioResponse><RestException>{exception}</RestException></TwilioResponse>"))
            }
            Form::Envelope => (
                JSON,
                json!({
                    "request_id": "aa00bb11cc22dd33ee44ff5566778899",
                    "method": "GET",
                    "http_code": number,
                    "response": {
                        "code": number,
                        "status": "failure",
                        "error_data": {"code": code, "message": message, "description": message},
                    },
                })
                .to_string(),
            ),
        };
        Self { status, content_type, body }
    }

    /// The refusal of a key, as JSON or as the text of old front doors.
    pub(super) fn unauthorized(form: Form, text: Unauthorized) -> Self {
        let status = StatusCode::UNAUTHORIZED;
        match (text, form) {
            (Unauthorized::Text, _) => Self {
                status,
                content_type: TEXT,
                body: "Authentication is required to view this page.".to_owned(),
            },
            (Unauthorized::Json, Form::Envelope) => {
                Self::coded(form, status, "Authentication failed", &json!(1010))
            }
            (Unauthorized::Json, _) => Self::coded(form, status, "Authentication failed", &json!(20003)),
        }
    }

    /// A breach of the rate limit.
    pub(super) fn throttled(form: Form) -> Self {
        let code = if form == Form::Envelope { json!(10724) } else { json!("RATE_LIMIT_EXCEEDED") };
        Self::coded(form, StatusCode::TOO_MANY_REQUESTS, "Too many requests", &code)
    }

    /// A breach of the limit for messages.
    pub(super) fn sms_throttled(breach: SmsBreach) -> Self {
        let (status, message, code) = match breach {
            SmsBreach::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Service throttled", 40405),
            SmsBreach::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "Request limit reached", 40403),
        };
        Self::coded(Form::Json, status, message, &json!(code))
    }

    /// What v2 and v3 say of a call that they do not know.
    pub(super) fn no_such_call() -> Self {
        Self::coded(Form::Envelope, StatusCode::NOT_FOUND, "Call not found", &json!(10744))
    }

    /// What a gateway says when there is nobody behind it.
    pub(super) fn html(status: StatusCode) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let body = format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body><center><h1>{title}</h1></center>\r\n\
             <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Self { status, content_type: HTML, body }
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, content_type: HTML, body: String::new() }
    }

    /// The first half of the body, as if it were all.
    pub(super) fn truncated(mut self) -> Self {
        let mut half = self.body.len() / 2;
        while !self.body.is_char_boundary(half) {
            half -= 1;
        }
        self.body.truncate(half);
        self
    }

    /// The same answer, blown up; it stays valid JSON.
    pub(super) fn huge(mut self) -> Self {
        let padding = "0".repeat(HUGE);
        if self.body.pop() == Some('}') {
            self.body.push_str(&format!(",\"Padding\":\"{padding}\"}}"));
        } else {
            self.body = padding;
        }
        self
    }

    /// The whole answer.
    pub(super) fn whole(self) -> Response {
        let head = (self.status, self.content_type);
        respond(head, Body::from(self.body))
    }

    /// An answer that breaks off at `at`: nothing is sent, or half of the body.
    pub(super) fn cut(self, at: Break) -> Response {
        let full = self.body.len();
        let broken = match at {
            Break::BeforeTheFirstByte => Broken { first: None, pause: Pause::Over },
            Break::HalfWay => {
                Broken { first: Some(Bytes::from(self.body).slice(..full / 2)), pause: Pause::Due }
            }
        };
        let mut response = respond((self.status, self.content_type), Body::new(broken));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(full.max(1)));
        response
    }
}

/// Where an answer breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    BeforeTheFirstByte,
    HalfWay,
}

fn respond((status, content_type): (StatusCode, &'static str), body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Sets a header whose value is a number or a date.
pub(super) fn set_header(response: &mut Response, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("numbers and HTTP dates are header values");
    response.headers_mut().insert(HeaderName::from_static(name), value);
}

/// A body that fails after its first piece, upon which the server drops the connection.
struct Broken {
    first: Option<Bytes>,
    /// Whether to wait a turn, so that the server sends the piece before it learns of the failure.
    pause: Pause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Due,
    Over,
}

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.pause == Pause::Due {
            self.pause = Pause::Over;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}
