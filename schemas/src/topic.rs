//! Names of the topics and consumer groups, under one prefix so that installations can share brokers.

/// Topic names of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Raw scans, keyed by `SourceComputerId`.
    pub scans: String,
    /// Raw run progress, keyed by `SourceComputerId`.
    pub run_progress: String,
    /// Heartbeats, keyed by `SourceComputerId`; read by the sink as they are.
    pub heartbeats: String,
    /// Logged events, keyed by `SourceComputerId`; read by the sink as they are.
    pub events: String,
    /// Office 365 audit records, keyed by the tenant; read by the sink as they are.
    pub office_activity: String,
    /// Records of logs without a table of their own, keyed by `WorkspaceId`; read by the sink as they are.
    pub custom_logs: String,
    /// Definitions of update deployments, keyed by `Name`; read by the sink as they are.
    pub update_deployments: String,
    /// Enriched scans, keyed by `SourceComputerId`.
    pub enriched_scans: String,
    /// Enriched run progress, keyed by `SourceComputerId`.
    pub enriched_run_progress: String,
    /// The catalog, compacted, keyed by source and id: `osv:USN-3212-1`.
    pub advisories: String,
    /// What could not be decoded or made no sense, whole, with [`dead_letter`] headers.
    pub dead_letters: String,
}

impl Topics {
    /// Prefix of an installation that sets none.
    pub const DEFAULT_PREFIX: &'static str = "patchline";

    /// The topics under `prefix`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let name = |suffix: &str| format!("{prefix}.{suffix}");
        Self {
            scans: name("scans"),
            run_progress: name("run-progress"),
            heartbeats: name("heartbeats"),
            events: name("events"),
            office_activity: name("office-activity"),
            custom_logs: name("custom-logs"),
            update_deployments: name("update-deployments"),
            enriched_scans: name("enriched.scans"),
            enriched_run_progress: name("enriched.run-progress"),
            advisories: name("advisories"),
            dead_letters: name("dead-letters"),
        }
    }

    /// Every topic, in the order of the data path.
    #[must_use]
    pub fn all(&self) -> [&str; 11] {
        [
            &self.scans,
            &self.run_progress,
            &self.heartbeats,
            &self.events,
            &self.office_activity,
            &self.custom_logs,
            &self.update_deployments,
            &self.enriched_scans,
            &self.enriched_run_progress,
            &self.advisories,
            &self.dead_letters,
        ]
    }

    /// The topics that keep the newest message of each key for good, and those that forget with time.
    #[must_use]
    pub fn by_cleanup(&self) -> (Vec<&str>, Vec<&str>) {
        self.all().into_iter().partition(|name| *name == self.advisories)
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self::new(Self::DEFAULT_PREFIX)
    }
}

/// Headers of a dead letter. Its key and payload are the rejected message's own.
pub mod dead_letter {
    /// Topic the message came from.
    pub const SOURCE_TOPIC: &str = "source-topic";
    /// Partition it came from; -1 where it never got into one.
    pub const SOURCE_PARTITION: &str = "source-partition";
    /// Its offset there. The three together identify the letter: a stage that crashed while
    /// writing it may write it again.
    pub const SOURCE_OFFSET: &str = "source-offset";
    /// Stage that rejected it: `gateway`, `enrich` or `sink`.
    pub const STAGE: &str = "stage";
    /// One word for the reason, the label it is counted under.
    pub const ERROR_CLASS: &str = "error-class";
    /// What was wrong, for a human.
    pub const ERROR_TEXT: &str = "error-text";
    /// Bytes of the rejected payload. The letter has fewer only where the topic takes no more: then it
    /// has the first [`BEGINNING_BYTES`].
    pub const PAYLOAD_BYTES: &str = "payload-bytes";

    /// Why a message became a dead letter: its [`ERROR_CLASS`] and the label it is counted under.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Class {
        /// No framing of ours.
        Framing,
        /// Written with a schema that is not known here.
        UnknownSchema,
        /// A record that this topic does not carry.
        WrongRecord,
        /// The bytes do not fit their schema.
        Datum,
        /// A field makes no sense.
        Invalid,
        /// Dated too far after its arrival.
        Clock,
        /// It is, or enriched would be, larger than a message may be.
        TooLarge,
    }

    impl Class {
        /// All of them.
        pub const ALL: [Self; 7] = [
            Self::Framing,
            Self::UnknownSchema,
            Self::WrongRecord,
            Self::Datum,
            Self::Invalid,
            Self::Clock,
            Self::TooLarge,
        ];

        /// As headers and labels spell it.
        #[must_use]
        pub fn as_str(self) -> &'static str {
            match self {
                Self::Framing => "framing",
                Self::UnknownSchema => "unknown-schema",
                Self::WrongRecord => "wrong-record",
                Self::Datum => "datum",
                Self::Invalid => "invalid",
                Self::Clock => "clock",
                Self::TooLarge => "too-large",
            }
        }
    }

    impl std::fmt::Display for Class {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.as_str())
        }
    }

    impl std::str::FromStr for Class {
        type Err = String;

        fn from_str(text: &str) -> Result<Self, String> {
            Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                format!("`{text}` is no class of dead letters: {known}")
            })
        }
    }

    /// What is kept of a payload that the dead-letter topic does not take whole.
    pub const BEGINNING_BYTES: usize = 512 * 1024;
    /// The most bytes of an error text: headers must fit the message.
    pub const ERROR_TEXT_BYTES_MAX: usize = 4096;
}
