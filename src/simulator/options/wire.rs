//! How answers are spelled; real accounts differ.

/// How things are spelled; real accounts differ.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// Numbers in JSON.
    pub numbers: Numbers,
    /// The ExoPhone's key.
    pub exophone_key: ExoPhoneKey,
    /// A value that is not there.
    pub absent: Absent,
    /// Letters of Sids.
    pub sids: Sids,
    /// `NextPageUri` after the last row.
    pub last_page: LastPage,
    /// The cursor's name in `NextPageUri`.
    pub cursor: Cursor,
    /// Leg details in bulk when asked for.
    pub bulk_details: BulkDetails,
    /// A key that no documentation names, in each object.
    pub extra_key: ExtraKey,
    /// Body of a refused login.
    pub unauthorized: Unauthorized,
}

/// Numbers in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// `"71"`, `"0.900"`.
    Texts,
    /// `71`, `0.9`.
    Numbers,
    /// Either, row by row.
    Mixed,
}

/// The key under which a row names our number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExoPhoneKey {
    /// `PhoneNumberSid`, holding the number.
    PhoneNumberSid,
    /// `PhoneNumber`.
    PhoneNumber,
    /// Both.
    Both,
}

/// How "no value" is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// `null`.
    Null,
    /// `""`.
    Empty,
    /// The key is missing.
    Missing,
    /// The epoch on the account's wall clock for times, `null` for the rest.
    Sentinel,
}

/// Letters of Sids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sids {
    /// Hexadecimal.
    Hex,
    /// Each with a letter beyond `f`.
    BeyondHex,
}

/// `NextPageUri` of the last page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastPage {
    /// `null`.
    Null,
    /// `""`.
    Empty,
    /// The key is missing.
    Missing,
    /// A page without rows follows, and that one has `null`.
    EmptyPage,
}

/// The parameter that leads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// `After` leads on, `Before` leads back.
    After,
    /// The other way round, as one sample has it.
    Before,
}

/// Leg details in bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkDetails {
    /// `details=true` is taken and changes nothing.
    Ignored,
    /// `details=true` adds `Details` to each row.
    Sent,
}

/// Unknown keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraKey {
    /// None.
    Absent,
    /// One in each object.
    Present,
}

/// Body of a refused login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthorized {
    /// JSON.
    Json,
    /// Plain text.
    Text,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            numbers: Numbers::Texts,
            exophone_key: ExoPhoneKey::PhoneNumberSid,
            absent: Absent::Null,
            sids: Sids::BeyondHex,
            last_page: LastPage::Null,
            cursor: Cursor::After,
            bulk_details: BulkDetails::Ignored,
            extra_key: ExtraKey::Absent,
            unauthorized: Unauthorized::Json,
        }
    }
}
