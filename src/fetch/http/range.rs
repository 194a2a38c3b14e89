//! Going on where a transfer broke: what tells that the file is still the same, and which part of it came.
//!
//! Pure. Source: RFC 9110, sections 8.8 (validators), 13.1.5 (`If-Range`) and 14.4 (`Content-Range`).

/// What tells one state of a file from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Validators {
    /// `ETag`.
    pub(in super::super) tag: Option<String>,
    /// `Last-Modified`.
    pub(in super::super) modified: Option<String>,
}

impl Validators {
    /// What `If-Range` may say: a tag that stands for the very bytes, else the date.
    pub(super) fn for_range(&self) -> Option<&str> {
        let strong = self.tag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.modified.as_deref())
    }

    /// Whether `other` is certainly of another state of the file.
    pub(super) fn differ(&self, other: &Self) -> bool {
        let differ = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        differ(&self.tag, &other.tag) || differ(&self.modified, &other.modified)
    }
}

/// Which part of a file an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The first byte, counted from 0.
    pub(super) first: u64,
    /// The last byte, counted from 0.
    pub(super) last: u64,
    /// How long the whole file is, if the server knows.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes 10-19/20`.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (range, total) = value.strip_prefix("bytes ")?.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten()
        };
        let (first, last) = (number(first)?, number(last)?);
        let total = if total == "*" { None } else { Some(number(total)?) };
        (first <= last && total.is_none_or(|total| last < total)).then_some(Self { first, last, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_whole_or_not_at_all() {
        let range = |first, last, total| Some(ContentRange { first, last, total });
        assert_eq!(ContentRange::parse("bytes 10-19/20"), range(10, 19, Some(20)));
        assert_eq!(ContentRange::parse("bytes 0-0/*"), range(0, 0, None));
        for text in [
            "",
            "bytes */20",
            "bytes 10-9/20",
            "bytes 10-20/20",
            "bytes 10-19",
            "items 10-19/20",
            "bytes +1-2/3",
            "bytes 1-2/x",
            "bytes 1-99999999999999999999/*",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_weak_tag_does_not_stand_for_the_bytes() {
        let validators = |tag: Option<&str>, modified: Option<&str>| Validators {
            tag: tag.map(str::to_owned),
            modified: modified.map(str::to_owned),
        };
        assert_eq!(validators(Some("\"a\""), Some("date")).for_range(), Some("\"a\""));
        assert_eq!(validators(Some("W/\"a\""), Some("date")).for_range(), Some("date"));
        assert_eq!(validators(Some("W/\"a\""), None).for_range(), None);
        let one = validators(Some("\"a\""), None);
        assert!(one.differ(&validators(Some("\"b\""), None)));
        assert!(!one.differ(&validators(None, Some("date"))));
        assert!(!one.differ(&one));
    }
}
