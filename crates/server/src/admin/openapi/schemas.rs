//! The schemas that the description names: those of what is answered, and those of what is taken.

use std::collections::BTreeSet;

use schemars::generate::{Contract, SchemaSettings};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

/// Where they are in the description.
const PLACE: &str = "/components/schemas";

/// The same, as references name it.
const PLACE_OF_REFERENCES: &str = "#/components/schemas/";

/// What the name of a schema ends with that is taken and looks other than what is answered: there defaults may be left
/// out.
const TAKEN: &str = "Input";

/// Gathers them.
pub(super) struct Schemas {
    answered: SchemaGenerator,
    taken: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let of = |contract| {
            let mut settings = SchemaSettings::draft2020_12();
            settings.definitions_path = PLACE.into();
            settings.meta_schema = None;
            settings.contract = contract;
            SchemaGenerator::new(settings)
        };
        Schemas { answered: of(Contract::Serialize), taken: of(Contract::Deserialize) }
    }

    /// The schema of what is answered.
    pub(super) fn answered(&mut self, schema: impl FnOnce(&mut SchemaGenerator) -> Schema) -> Value {
        schema(&mut self.answered).to_value()
    }

    /// The schema of what is taken.
    pub(super) fn taken(&mut self, schema: impl FnOnce(&mut SchemaGenerator) -> Schema) -> Value {
        let mut value = schema(&mut self.taken).to_value();
        name_as_taken(&mut value);
        value
    }

    /// Puts all that were named into the description, and lets what is taken and answered alike be one.
    pub(super) fn settle(self, description: &mut Value) {
        let mut all = self.answered.definitions().clone();
        let mut differing = BTreeSet::new();
        for (name, schema) in self.taken.definitions() {
            match all.get(name) {
                Some(answered) if answered != schema => {
                    let mut schema = schema.clone();
                    name_as_taken(&mut schema);
                    differing.insert(format!("{PLACE_OF_REFERENCES}{name}{TAKEN}"));
                    all.insert(format!("{name}{TAKEN}"), schema);
                }
                Some(_) => {}
                None => {
                    let mut schema = schema.clone();
                    name_as_taken(&mut schema);
                    all.insert(name.clone(), schema);
                }
            }
        }
        description["components"]["schemas"] = Value::Object(all);
        name_plainly(description, &differing);
    }
}

/// Points references of what is taken to what is taken.
fn name_as_taken(value: &mut Value) {
    each_reference(value, &mut |reference| reference.push_str(TAKEN));
}

/// Points them to the plain name again, but for those that have another one.
fn name_plainly(value: &mut Value, differing: &BTreeSet<String>) {
    each_reference(value, &mut |reference| {
        if let Some(plain) = reference.strip_suffix(TAKEN).filter(|_| !differing.contains(reference.as_str())) {
            *reference = plain.to_owned();
        }
    });
}

fn each_reference(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "$ref" => change(text),
                    value => each_reference(value, change),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_reference(item, change)),
        _ => {}
    }
}
