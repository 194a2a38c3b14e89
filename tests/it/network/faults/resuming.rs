//! Downloads that break and are gone on with: what is put together of two answers must be of one file.
//!
//! The first answer always breaks in the middle; what differs is what comes then.

use super::super::{BASE, INDEX, LIST, PACKAGE, Scene, sound};
use super::{Case, all_pass, script};
use crate::made::flipped;
use crate::support::server::answer::Answer;
use crate::support::server::fault::{Fault, Point, Then, Times};

/// What breaks off in the middle.
fn broken() -> (Times, Fault) {
    (Times::Only(1), Fault::stop(Point::Middle, Then::Close))
}

/// `file` breaks once, and the second answer is what `then` makes of the right one.
fn resumed(
    name: &'static str,
    file: &'static str,
    then: impl Fn(Answer) -> Answer + Clone + Send + Send + Sync + 'static,
) -> Case {
    script(name, file, move || {
        let then = then.clone();
        vec![broken(), (Times::Only(2), Fault::answer(move |_, answer| then(answer)))]
    })
}

/// `file` breaks, its first half being that of the answer that `first` makes of the right one.
fn begun(name: &'static str, file: &'static str, first: fn(Answer) -> Answer) -> Case {
    script(name, file, move || {
        let fault = Fault::answer(move |_, answer| first(answer)).and_stop(Point::Middle, Then::Close);
        vec![(Times::Only(1), fault)]
    })
}

/// The whole file, as if nobody had asked for a part.
fn whole(file: &'static str) -> Answer {
    Answer::new(200, sound().file(file))
}

fn flipped_in_the_middle(mut answer: Answer) -> Answer {
    answer.body = flipped(&answer.body, answer.body.len() / 4);
    answer
}

#[test]
fn what_is_put_together_is_of_one_file() {
    all_pass(vec![
        resumed("package gone on with", PACKAGE, |answer| answer).passes(),
        resumed("base gone on with", BASE, |answer| answer).passes(),
        resumed("package from its beginning again", PACKAGE, |_| whole(PACKAGE)).passes(),
        resumed("base from its beginning again", BASE, |_| whole(BASE)).passes(),
        resumed("package whose rest is not there", PACKAGE, |_| Answer::page(416)).passes(),
        resumed("package with another part", PACKAGE, |answer| {
            let length = sound().file(PACKAGE).len();
            answer.with("Content-Range", format!("bytes 0-{}/{length}", length / 2))
        })
        .passes(),
        resumed("package with a part of another whole", PACKAGE, |answer| {
            let range =
                answer.header("Content-Range").unwrap_or_default().split('/').next().unwrap_or_default();
            let range = format!("{range}/999999");
            answer.with("Content-Range", range)
        })
        .passes(),
        resumed("package with a part that is not said to be one", PACKAGE, |answer| {
            answer.without("Content-Range")
        })
        .passes(),
        resumed("package with a part that says nonsense", PACKAGE, |answer| {
            answer.with("Content-Range", "bytes many-more/most")
        })
        .passes(),
        resumed("package with a part that is too short", PACKAGE, |answer| {
            answer.with_body(|body| body.truncate(body.len() / 2))
        })
        .patient()
        .passes(),
        resumed("package that is another by its tag", PACKAGE, |answer| answer.with("ETag", "\"another\""))
            .passes(),
        resumed("package that is another by its time", PACKAGE, |answer| {
            answer.without("ETag").with("Last-Modified", "Mon, 01 Jan 2001 00:00:00 GMT")
        })
        .passes(),
        // The server was wrong about the file's being the same: the hash tells, and it is fetched anew.
        resumed("package with the same tag and another rest", PACKAGE, flipped_in_the_middle).passes(),
        begun("package with the same tag and another beginning", PACKAGE, flipped_in_the_middle).passes(),
        begun("package that was another", PACKAGE, |answer| {
            flipped_in_the_middle(answer).with("ETag", "\"another\"").without("Last-Modified")
        })
        .passes(),
        begun("package with a weak tag", PACKAGE, |answer| {
            answer.with("ETag", "W/\"weak\"").without("Last-Modified")
        })
        .passes(),
        begun("package without validators", PACKAGE, |answer| {
            answer.without("ETag").without("Last-Modified")
        })
        .passes(),
        begun("package whose parts are not to be had", PACKAGE, |answer| {
            answer.with("Accept-Ranges", "none")
        })
        .passes(),
        begun("package with a length that is too long", PACKAGE, |answer| {
            let length = (answer.body.len() + 100).to_string();
            answer.with("Content-Length", length)
        })
        .passes(),
        begun("index gone on with", INDEX, |answer| answer).passes(),
        begun("index that was another", INDEX, |answer| answer.with("ETag", "\"another\"")).passes(),
        resumed("index whose rest is not there", INDEX, |_| Answer::page(416)).passes(),
        resumed("list with a part that is not said to be one", LIST, |answer| {
            answer.without("Content-Range")
        })
        .passes(),
    ]);
}

/// The ranges that were asked for, and on which condition.
fn asked(scene: &Scene, file: &str) -> Vec<(Option<String>, Option<String>)> {
    let header =
        |logged: &crate::support::server::log::Logged, name| logged.request.header(name).map(str::to_owned);
    scene
        .mirror()
        .log()
        .of(file)
        .iter()
        .map(|logged| (header(logged, "Range"), header(logged, "If-Range")))
        .collect()
}

#[test]
fn only_the_rest_is_asked_for_and_only_of_the_same_file() {
    let scene = Scene::new(1);
    let (times, fault) = broken();
    scene.mirror().plan(PACKAGE, times, fault);

    scene.builds("a package that broke", scene.build());

    let (half, log) = (sound().file(PACKAGE).len() / 2, scene.mirror().log().of(PACKAGE));
    assert_eq!(log.iter().map(|logged| logged.status).collect::<Vec<_>>(), [Some(200), Some(206)]);
    let [(None, None), (Some(range), Some(condition))] = &asked(&scene, PACKAGE)[..] else {
        panic!("{:?}", asked(&scene, PACKAGE))
    };
    assert_eq!(range, &format!("bytes={half}-"));
    assert!(condition.starts_with('"'), "{condition}");
}

#[test]
fn a_weak_validator_is_no_condition_for_a_part() {
    let scene = Scene::new(1);
    let weak = Fault::answer(|_, answer| answer.with("ETag", "W/\"weak\"").without("Last-Modified"));
    scene.mirror().plan(PACKAGE, Times::Only(1), weak.and_stop(Point::Middle, Then::Close));

    scene.builds("a package with a weak tag", scene.build());

    assert!(
        asked(&scene, PACKAGE).iter().all(|(_, condition)| condition.is_none()),
        "{:?}",
        asked(&scene, PACKAGE)
    );
}

/// With patience, it is got at last: each answer brings something.
#[test]
fn a_download_that_breaks_again_and_again_gets_there() {
    let scene = Scene::new(1);
    scene.mirror().plan(PACKAGE, Times::First(4), Fault::stop(Point::Middle, Then::Reset));

    scene.builds("a package that broke four times", scene.build().args(["--retries", "4"]));

    let ranges: Vec<_> = asked(&scene, PACKAGE).into_iter().map(|(range, _)| range.is_some()).collect();
    assert_eq!(ranges.len(), 5, "{:?}", asked(&scene, PACKAGE));
}
