//! When a token counts.

use time::OffsetDateTime;

use super::{TOKEN_AGE_MAX, TOKEN_SKEW_MAX, TokenError};

/// From when until when a token counts: by its date alone, whatever lifetime it gives itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLife {
    date: OffsetDateTime,
    not_after: OffsetDateTime,
}

impl TokenLife {
    /// Of a token made at `date`.
    pub(super) fn of(date: OffsetDateTime) -> Self {
        Self { date, not_after: date.saturating_add(TOKEN_AGE_MAX) }
    }

    /// When the token was made.
    #[must_use]
    pub fn date(&self) -> OffsetDateTime {
        self.date
    }

    /// When it stops being accepted: [`TOKEN_AGE_MAX`] after its date.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// Whether it counts at a moment, for a clock that may be up to [`TOKEN_SKEW_MAX`] behind its maker's.
    ///
    /// # Errors
    /// [`TokenError::TooOld`] or [`TokenError::Future`].
    pub fn judge(&self, now: OffsetDateTime) -> Result<(), TokenError> {
        let Self { date, not_after } = *self;
        if now > not_after {
            Err(TokenError::TooOld { date, not_after })
        } else if date > now.saturating_add(TOKEN_SKEW_MAX) {
            Err(TokenError::Future { date })
        } else {
            Ok(())
        }
    }
}
