//! A profile with everything it extends, before the solver has said what `provider-of` variables are.
//!
//! Source: design, "The profile", `[vars]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builtin::BuiltIn;
use super::document::Node;
use super::error::{Flaw, Problem, ProfileError};
use super::load::{Found, read_all};
use super::lower;
use super::merge::{duplicates, merge_table};
use super::model::{Alpine, Profile};
use super::names::VariableName;
use super::origin::{Origin, Source, Stated};
use super::overrides::Overrides;
use super::reader::{Problems, TableReader, text};
use super::schema::{self, ARCHITECTURE, PROFILE};
use super::show::Merged;
use super::vars::{self, Phase, ProviderVariable, Substitution, Variable, Variables};
use crate::apk::dependency::{Dependency, Tag};
use crate::arch::Arch;
use crate::kind::nearest;

/// The values of the `provider-of` variables.
pub type Values = BTreeMap<VariableName, String>;

/// A profile and what it extends, read and checked as far as is possible without the repositories.
#[derive(Debug, Clone)]
pub struct Draft {
    name: String,
    source: Arc<Source>,
    description: Option<String>,
    /// In the order of merging, the command line last.
    layers: Vec<Node>,
    variables: Variables,
    alpine: Alpine,
}

impl Draft {
    /// Reads `found` and what it extends, and lays `overrides` over it.
    pub fn load(
        found: &Found,
        overrides: &Overrides,
        built_ins: &'static [BuiltIn],
    ) -> Result<Self, ProfileError> {
        let mut layers = read_all(found, built_ins)?;
        let overrides = overrides.to_profile();
        check_settings(&layers, &overrides)?;
        layers.push(overrides);
        let variables = read_variables(&layers)?;
        // Every layer is looked through once, so that a mistake in a value that another one replaces, or
        // that is for another architecture, is found too.
        let shown = merge(substituted(&layers, &Substitution::new(&variables, Phase::Shown))?);
        let description = shown.get("description").and_then(Node::as_text).map(str::to_owned);
        let alpine = early_alpine(&layers, &variables)?;
        let draft = Self {
            name: found.name.clone(),
            source: Arc::clone(&found.source),
            description,
            layers,
            variables,
            alpine,
        };
        draft.check_provider_tags()?;
        Ok(draft)
    }

    /// What the profile is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it was found.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What it says of itself; `provider-of` variables stand as they are.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Which Alpine, and where it comes from. Depends on no `provider-of` variable.
    #[must_use]
    pub fn alpine(&self) -> &Alpine {
        &self.alpine
    }

    /// The variables whose values [`Draft::resolve`] wants to be told, with where they are stated.
    pub fn provider_variables(&self) -> impl Iterator<Item = (&VariableName, Stated<&ProviderVariable>)> {
        self.variables.iter().filter_map(|(name, stated)| match &stated.value {
            Variable::ProviderOf(variable) => {
                Some((name, Stated { value: variable, origin: stated.origin.clone() }))
            }
            Variable::Text(_) => None,
        })
    }

    /// The profile for `arch`, given the values of the `provider-of` variables.
    pub fn resolve(&self, arch: Arch, values: &Values) -> Result<Profile, ProfileError> {
        let layers = substituted(&self.layers, &Substitution::new(&self.variables, Phase::Final(values)))?;
        let mut merged = merge(layers);
        let for_arch = merged.get("arch").and_then(|table| table.get(arch.as_str())).cloned();
        if let Some(for_arch) = for_arch {
            merge_table(&mut merged, for_arch, ARCHITECTURE);
        }
        let problems = Problems::default();
        let profile = self.lower(&TableReader::new(&merged, &problems), arch, values);
        self.check_tags(&profile, &problems);
        ProfileError::of_problems(problems.into_inner())?;
        Ok(profile)
    }

    /// Finds what is wrong without being told the values of the `provider-of` variables: an invented one
    /// stands for each. For every architecture the profile is for, and those it has a section for.
    pub fn check(&self) -> Result<(), ProfileError> {
        let invented = self
            .provider_variables()
            .map(|(name, stated)| (name.clone(), stated.value.pattern.invented().to_owned()))
            .collect();
        let mut architectures = self.alpine.architectures.clone();
        for layer in &self.layers {
            let sections = layer.get("arch").and_then(Node::as_table).into_iter().flatten();
            architectures.extend(sections.filter_map(|(name, _)| name.parse::<Arch>().ok()));
        }
        architectures.sort_unstable();
        architectures.dedup();
        architectures.into_iter().try_for_each(|arch| self.resolve(arch, &invented).map(drop))
    }

    /// The merged profile with every value's origin. `provider-of` variables stand as they are.
    pub fn show(&self) -> Result<Merged, ProfileError> {
        let layers = substituted(&self.layers, &Substitution::new(&self.variables, Phase::Shown))?;
        Ok(Merged::new(merge(layers)))
    }

    fn lower(&self, profile: &TableReader<'_>, arch: Arch, values: &Values) -> Profile {
        let variable = |(name, stated): (&VariableName, &Stated<Variable>)| {
            let value = match &stated.value {
                Variable::Text(text) => text.clone(),
                Variable::ProviderOf(_) => values.get(name)?.clone(),
            };
            Some((name.clone(), value))
        };
        Profile {
            name: self.name.clone(),
            description: profile.value("description", text).map(str::to_owned),
            arch,
            variables: self.variables.iter().filter_map(variable).collect(),
            alpine: self.alpine.clone(),
            packages: lower::packages(&profile.table("packages")),
            files: lower::files(profile),
            directories: lower::directories(profile),
            links: lower::links(profile),
            users: lower::users(profile),
            groups: lower::groups(profile),
            image: lower::image(&profile.table("image")),
            prune: lower::prune(&profile.table("prune")),
            limits: lower::limits(&profile.table("limits")),
        }
    }

    fn check_provider_tags(&self) -> Result<(), ProfileError> {
        let problems = Problems::default();
        for (name, stated) in self.provider_variables() {
            let key = schema::below("vars", name.as_str());
            for provided in &stated.value.provided {
                self.check_tag(provided, &stated.origin, &key, &problems);
            }
        }
        ProfileError::of_problems(problems.into_inner())
    }

    fn check_tags(&self, profile: &Profile, problems: &Problems) {
        for (key, list) in [
            ("packages.runtime", &profile.packages.runtime),
            ("packages.optional", &profile.packages.optional),
        ] {
            for stated in list {
                self.check_tag(&stated.value, &stated.origin, key, problems);
            }
        }
    }

    /// A tag that no repository has would only make the package impossible to find.
    fn check_tag(&self, dependency: &Dependency, origin: &Origin, key: &str, problems: &Problems) {
        let Some(tag) = &dependency.tag else { return };
        let known: Vec<&str> =
            self.alpine.repositories.iter().filter_map(|entry| entry.tag.as_ref()).map(Tag::as_str).collect();
        if !known.contains(&tag.as_str()) {
            let near = nearest(tag.as_str(), known).into_iter().map(str::to_owned).collect();
            problems.add(origin, key, Flaw::UnknownTag { tag: tag.as_str().to_owned(), near });
        }
    }
}

/// Every variable that the command line sets must be one of the profile's.
fn check_settings(layers: &[Node], overrides: &Node) -> Result<(), ProfileError> {
    let variables = |node: &Node| -> Vec<String> {
        node.get("vars")
            .and_then(Node::as_table)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    };
    let known: std::collections::BTreeSet<String> = layers.iter().flat_map(variables).collect();
    let mut problems = Vec::new();
    for name in variables(overrides).iter().filter(|name| !known.contains(*name)) {
        let flaw = vars::unknown_variable(name, known.iter().map(String::as_str).collect());
        problems.push(Problem { origin: overrides.origin.clone(), key: String::new(), flaw });
    }
    ProfileError::of_problems(problems)
}

fn read_variables(layers: &[Node]) -> Result<Variables, ProfileError> {
    // Variables are looked at layer by layer too: what one of them states is wrong wherever it stands.
    let mut problems = Vec::new();
    let mut variables = Variables::new();
    for layer in layers {
        variables.append(&mut vars::read(layer.get("vars"), &mut problems));
    }
    ProfileError::of_problems(problems)?;
    Ok(variables)
}

/// The layers with their variables replaced, no entry in any of them twice.
fn substituted(layers: &[Node], substitution: &Substitution<'_>) -> Result<Vec<Node>, ProfileError> {
    let mut problems = Vec::new();
    let mut out = Vec::with_capacity(layers.len());
    for layer in layers {
        let layer = substitution.table(layer, PROFILE, &mut problems);
        problems.append(&mut duplicates(&layer));
        out.push(layer);
    }
    ProfileError::of_problems(problems)?;
    Ok(out)
}

fn merge(layers: Vec<Node>) -> Node {
    let mut merged = Node::empty(Origin::Default);
    for layer in layers {
        merge_table(&mut merged, layer, PROFILE);
    }
    merged
}

fn early_alpine(layers: &[Node], variables: &Variables) -> Result<Alpine, ProfileError> {
    let only_alpine = layers.iter().map(|layer| {
        let mut part = Node::empty(layer.origin.clone());
        if let (Some(table), Some(alpine)) = (part.as_table_mut(), layer.get("alpine")) {
            table.insert("alpine".to_owned(), alpine.clone());
        }
        part
    });
    let only_alpine: Vec<Node> = only_alpine.collect();
    let merged = merge(substituted(&only_alpine, &Substitution::new(variables, Phase::Early))?);
    let problems = Problems::default();
    let alpine = lower::alpine(&TableReader::new(&merged, &problems).table("alpine"));
    ProfileError::of_problems(problems.into_inner())?;
    Ok(alpine)
}
