//! Asking one place after another, until one has what is wanted.

use super::error::FetchError;

/// What was taken from the first place that had it.
pub(super) struct Taken<P, T> {
    pub(super) value: T,
    pub(super) place: P,
    /// Why the first of those before it was passed over, if one had it and failed.
    pub(super) refused: Option<FetchError>,
}

/// Takes from the first of `places` that has it. One that fails at what another may do better is passed over.
///
/// If none has it, the error is the first failure; there is none if all said that it is not there.
pub(super) fn first_of<P, T>(
    places: impl IntoIterator<Item = P>,
    mut take: impl FnMut(&P) -> Result<Option<T>, FetchError>,
) -> Result<Taken<P, T>, Option<FetchError>> {
    let mut refused = None;
    for place in places {
        match take(&place) {
            Ok(Some(value)) => return Ok(Taken { value, place, refused }),
            Ok(None) => {}
            Err(error) if error.is_the_mirrors() => drop(refused.get_or_insert(error)),
            Err(error) => return Err(Some(error)),
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(place: &str) -> FetchError {
        FetchError::NoBase { location: place.to_owned() }
    }

    #[test]
    fn the_first_that_has_it_is_taken_and_the_first_failure_told() {
        let take = |place: &&str| match *place {
            "none" => Ok(None),
            "full" => Ok(Some(1)),
            "end" => Err(FetchError::Interrupted),
            other => Err(refused(other)),
        };
        let Ok(taken) = first_of(["none", "a", "b", "full", "end"], take) else { panic!() };
        assert_eq!((taken.value, taken.place), (1, "full"));
        assert!(matches!(taken.refused, Some(FetchError::NoBase { location }) if location == "a"));

        let error = |places: &[&'static str]| first_of(places.iter().copied(), take).err();
        assert!(matches!(error(&["none", "none"]), Some(None)));
        assert!(
            matches!(error(&["none", "b", "a"]), Some(Some(FetchError::NoBase { location })) if location == "b")
        );
        // What is nobody's fault there is no use in asking others about.
        assert!(matches!(error(&["a", "end", "full"]), Some(Some(FetchError::Interrupted))));
    }
}
