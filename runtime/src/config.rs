//! Settings: a TOML file, overlaid by the environment.
//!
//! The variable `PATCHLINE_SINK__KAFKA__BOOTSTRAP` sets `bootstrap` in `[kafka]` of the sink: prefix
//! of the service, then the path, joined with two underscores. A key that the service does not know
//! is an error in either place, so that a misspelt setting cannot pass for a default.

use std::path::Path;

use serde::de::DeserializeOwned;

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file or a variable could not be read or has the wrong shape.
    #[error("settings{}: {source}{hint}", file.as_ref().map(|file| format!(" from {file}")).unwrap_or_default())]
    Shape {
        /// The file that was given.
        file: Option<String>,
        /// How the environment would name the key, where a key is at fault.
        hint: String,
        /// What is wrong; names the key.
        source: Box<config::ConfigError>,
    },
    /// Each value is well-formed, but together they make no sense.
    #[error("settings: {0}")]
    Contradiction(String),
}

/// Settings that can be checked as a whole.
pub trait Settings: DeserializeOwned {
    /// Prefix of the service's variables, without underscores at the end: `PATCHLINE_SINK`.
    const ENV_PREFIX: &'static str;

    /// Checks what no single value shows.
    ///
    /// # Errors
    /// Says which values contradict each other and what to change.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Reads the settings from `file`, then from the environment, and checks them.
///
/// # Errors
/// The file cannot be read, a key is unknown, a value has the wrong type, or values contradict
/// each other. The message names the key and, for the environment, the variable's form.
pub fn load<S: Settings>(file: Option<&Path>) -> Result<S, ConfigError> {
    let environment = config::Environment::with_prefix(S::ENV_PREFIX)
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true);
    load_from(file, environment)
}

fn load_from<S: Settings>(
    file: Option<&Path>,
    environment: config::Environment,
) -> Result<S, ConfigError> {
    let mut builder = config::Config::builder();
    if let Some(file) = file {
        builder = builder.add_source(config::File::from(file).format(config::FileFormat::Toml));
    }
    let settings: S =
        builder.add_source(environment).build().and_then(config::Config::try_deserialize).map_err(
            |source| {
                let hint = match &source {
                    config::ConfigError::At { key: Some(key), .. }
                    | config::ConfigError::Type { key: Some(key), .. } => format!(
                        " (in the environment: {}__{})",
                        S::ENV_PREFIX,
                        key.replace('.', "__").to_uppercase()
                    ),
                    _ => String::new(),
                };
                let file = file.map(|file| file.display().to_string());
                ConfigError::Shape { file, hint, source: Box::new(source) }
            },
        )?;
    settings.check().map_err(ConfigError::Contradiction)?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        kafka: crate::kafka::KafkaConfig,
        rows_max: u32,
    }

    impl Settings for Sample {
        const ENV_PREFIX: &'static str = "SAMPLE";
        fn check(&self) -> Result<(), String> {
            if self.rows_max == 13 {
                Err("rows_max = 13 brings bad luck".to_owned())
            } else {
                Ok(())
            }
        }
    }

    fn read(toml: &str, variables: &[(&str, &str)]) -> Result<Sample, String> {
        let folder = std::env::temp_dir().join(format!("patchline-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let name = format!("{:?}.toml", std::thread::current().id());
        let file = folder.join(name);
        std::fs::write(&file, toml).unwrap();
        let variables: HashMap<String, String> =
            variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let environment = config::Environment::with_prefix(Sample::ENV_PREFIX)
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .source(Some(variables));
        load_from(Some(&file), environment).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_lies_over_the_file() {
        let toml = "rows_max = 5\n[kafka]\nbootstrap = \"a:1\"\n[kafka.settings]\n\"security.protocol\" = \"ssl\"\n";
        let settings = read(toml, &[("SAMPLE__KAFKA__BOOTSTRAP", "b:2")]).unwrap();
        assert_eq!(settings.rows_max, 5);
        assert_eq!(settings.kafka.bootstrap, "b:2");
        assert_eq!(settings.kafka.settings["security.protocol"], "ssl");
    }

    #[test]
    fn an_unknown_key_is_an_error_wherever_it_stands() {
        let error = read("row_max = 5\n", &[]).unwrap_err();
        assert!(error.contains("row_max"), "{error}");
        let error = read("", &[("SAMPLE__KAFKA__BOOTSTRAPS", "b:2")]).unwrap_err();
        assert!(error.contains("bootstraps"), "{error}");
    }

    #[test]
    fn a_wrong_type_names_the_variable() {
        let error = read("", &[("SAMPLE__ROWS_MAX", "many")]).unwrap_err();
        assert!(error.contains("SAMPLE__ROWS_MAX"), "{error}");
        assert!(error.contains("u32") || error.contains("integer"), "{error}");
    }

    #[test]
    fn a_contradiction_is_an_error() {
        assert!(read("rows_max = 13\n", &[]).unwrap_err().contains("bad luck"));
    }
}
