use super::*;
use crate::archive::table::Table;
use crate::tree::made::{Layer, path};

impl Layer {
    fn mode(mut self, mode: u32) -> Self {
        self.entries.last_mut().unwrap().mode = mode;
        self
    }

    fn without(mut self, text: &str) -> Self {
        self.whiteouts.push(Whiteout::Path(path(text)));
        self
    }

    fn emptying(mut self, text: &str) -> Self {
        self.whiteouts.push(Whiteout::Contents(path(text)));
        self
    }
}

fn tree(layers: Vec<Layer>) -> Result<Tree, LayersError> {
    let made: Vec<(Table, Arc<dyn ReadAt>)> = layers.into_iter().map(Layer::made).collect();
    let layers: Vec<TableLayer<'_>> = made.iter().map(|(table, tar)| TableLayer { table, tar }).collect();
    tree_of(&layers)
}

/// What there is, a line each: directories with a slash, files with their content, links with their target.
fn shown(layers: Vec<Layer>) -> Vec<String> {
    let tree = tree(layers).unwrap();
    let line = |(path, _, inode): (&TreePath, _, &Inode)| {
        let rest = match &inode.kind {
            InodeKind::File(content) => {
                format!("={}", String::from_utf8(content.to_vec().unwrap()).unwrap())
            }
            InodeKind::Symlink(target) => format!("->{target}"),
            _ => "/".to_owned(),
        };
        format!("{}{rest}", path.as_str())
    };
    tree.entries().filter(|(path, _, _)| !path.is_root()).map(line).collect()
}

fn base() -> Layer {
    Layer::default()
        .dir("/etc")
        .file("/etc/a", "1")
        .file("/etc/b", "1")
        .dir("/lib")
        .dir("/lib/x")
        .file("/lib/x/y", "1")
        .symlink("/link", "lib")
}

#[test]
fn a_layer_replaces_what_is_below_and_directories_keep_their_contents() {
    let upper = Layer::default().dir("/etc").mode(0o700).file("/etc/b", "2").file("/new/deep", "2");
    assert_eq!(
        shown(vec![base(), upper]),
        ["etc/", "etc/a=1", "etc/b=2", "lib/", "lib/x/", "lib/x/y=1", "link->lib", "new/", "new/deep=2"]
    );
    let upper = Layer::default().dir("/etc").mode(0o700);
    let tree = tree(vec![base(), upper]).unwrap();
    assert_eq!(tree.get(&path("/etc")).unwrap().mode, Mode::new(0o700));
}

#[test]
fn a_whiteout_takes_away_what_is_below_and_nothing_of_its_own_layer() {
    let upper = Layer::default().without("/etc/a").without("/lib").without("/nothing/here");
    assert_eq!(shown(vec![base(), upper]), ["etc/", "etc/b=1", "link->lib"]);
    let upper = Layer::default().file("/etc/a", "2").without("/etc/a").dir("/lib").without("/lib");
    assert_eq!(shown(vec![base(), upper]), ["etc/", "etc/a=2", "etc/b=1", "lib/", "link->lib"]);
    let upper = Layer::default().emptying("/etc").file("/etc/c", "2");
    assert_eq!(shown(vec![base(), upper]), ["etc/", "etc/c=2", "lib/", "lib/x/", "lib/x/y=1", "link->lib"]);
    assert_eq!(shown(vec![base(), Layer::default().emptying("/").file("/z", "2")]), ["z=2"]);
}

#[test]
fn something_of_another_kind_takes_a_place_with_all_that_was_in_it() {
    let upper = Layer::default().file("/lib", "2").dir("/link").file("/link/in", "2");
    assert_eq!(shown(vec![base(), upper]), ["etc/", "etc/a=1", "etc/b=1", "lib=2", "link/", "link/in=2"]);
}

#[test]
fn what_was_taken_away_may_come_back_in_a_later_layer() {
    let gone = Layer::default().without("/etc");
    let back = Layer::default().file("/etc/a", "3");
    assert_eq!(
        shown(vec![base(), gone, back]),
        ["etc/", "etc/a=3", "lib/", "lib/x/", "lib/x/y=1", "link->lib"]
    );
}

#[test]
fn a_hard_link_may_lead_to_a_file_of_a_lower_layer() {
    let upper = Layer::default().hard_link("/again", "/etc/a").without("/etc/b");
    let tree = tree(vec![base(), upper]).unwrap();
    assert_eq!(tree.number(&path("/again")), tree.number(&path("/etc/a")));
    for (target, layers) in [
        ("/nothing", vec![base()]),
        ("/lib", vec![base()]),
        ("/etc/a", vec![base(), Layer::default().without("/etc/a")]),
    ] {
        let mut layers = layers;
        layers.push(Layer::default().hard_link("/again", target));
        let error = self::tree(layers).unwrap_err();
        assert!(matches!(error, LayersError::HardLink { .. }), "{target}: {error}");
    }
}

#[test]
fn nothing_goes_through_a_link_or_into_a_file() {
    let refused = |upper: Layer| tree(vec![base(), upper]).unwrap_err();
    for upper in [
        Layer::default().file("/link/new", "2"),
        Layer::default().without("/link/x"),
        Layer::default().emptying("/link/x"),
        Layer::default().without("/etc/a/b"),
        Layer::default().file("/etc/a/b", "2"),
        Layer::default().file("/d", "2").file("/d/e", "2"),
    ] {
        let error = refused(upper);
        let is_parent = matches!(&error, LayersError::Name(NameError::ParentIsNoDirectory { .. }));
        assert!(is_parent, "{error}");
    }
    let error = refused(Layer::default().emptying("/link"));
    assert!(matches!(error, LayersError::Name(NameError::IsNoDirectory { .. })), "{error}");
    let error = refused(Layer::default().file("/d/e", "2").file("/d", "2"));
    assert!(matches!(error, LayersError::Name(NameError::IsDirectory { .. })), "{error}");
}
