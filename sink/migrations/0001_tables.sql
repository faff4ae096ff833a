-- One row an update of a scan: those of every computer's newest scan, and of older ones until the sink
-- deletes them. The key has the scan in it, so that a merge never takes a row from the scan that is shown
-- while a newer one is still being written. The view Update shows the newest scan's rows only.
CREATE TABLE IF NOT EXISTS update_rows
(
    SourceComputerId     String                          COMMENT 'Identifies the computer',
    UpdateID             String                          COMMENT 'Windows: GUID of the update; empty on Linux',
    Product              String                          COMMENT 'Windows: product the update is for; Linux: package name',
    ProductArch          LowCardinality(String)          COMMENT 'Linux: package architecture',
    ProductVersion       String                          COMMENT 'Linux: package version with epoch; Windows: product version',
    Computer             String                          COMMENT 'Name of the computer',
    TimeGenerated        DateTime64(3, 'UTC')            COMMENT 'Time of the scan, by the computer''s clock',
    TimeReceived         DateTime64(3, 'UTC')            COMMENT 'When the scan reached Patchline',
    UpdateState          LowCardinality(String)          COMMENT 'Needed, Not needed (Linux) or Installed (Windows)',
    Title                String                          COMMENT 'Title of the update',
    KBID                 LowCardinality(String)          COMMENT 'Knowledge base number, digits only',
    Classification       LowCardinality(String)          COMMENT 'Final classification',
    ClassificationSource LowCardinality(String)          COMMENT 'Where the classification comes from: catalog, agent or default',
    AgentClassification  LowCardinality(String)          COMMENT 'What the computer itself said',
    AdvisoryIDs          LowCardinality(String)          COMMENT 'Catalog entries behind the classification, joined with ;',
    CatalogVersion       LowCardinality(String)          COMMENT 'Version of the catalog that classified the scan',
    MSRCSeverity         LowCardinality(String)          COMMENT 'Windows: severity as MSRC states it',
    MSRCBulletinID       LowCardinality(String)          COMMENT 'Windows: MSRC bulletin',
    BulletinID           LowCardinality(String)          COMMENT 'Bulletin or advisory of the vendor',
    BulletinUrl          LowCardinality(String)          COMMENT 'Where to read the bulletin',
    CVENumbers           LowCardinality(String)          COMMENT 'CVE ids, joined with ;',
    PackageSeverity      LowCardinality(String)          COMMENT 'Linux: severity as the vendor states it',
    PublishedDate        Nullable(DateTime64(3, 'UTC'))  COMMENT 'When the update was published',
    RebootBehavior       LowCardinality(String)          COMMENT 'neverreboots, canrequestreboot or alwaysreboots',
    RevisionNumber       LowCardinality(String)          COMMENT 'Windows: revision of the update',
    PackageRepository    LowCardinality(String)          COMMENT 'Linux: repository of the package',
    Optional             Bool                            COMMENT 'The update is optional',
    Approved             Bool                            COMMENT 'The update is approved for installation',
    ApprovalSource       LowCardinality(String)          COMMENT 'Who approved it',
    OSType               LowCardinality(String)          COMMENT 'Windows or Linux',
    OSName               LowCardinality(String)          COMMENT 'Name of the operating system',
    OSVersion            LowCardinality(String)          COMMENT 'Version of the operating system',
    OSFullName           LowCardinality(String)          COMMENT 'Name and version, as the computer says it',
    ManagementGroupName  LowCardinality(String)          COMMENT 'Operations Manager group, or AOI-<workspace id>',
    SourceSystem         LowCardinality(String)          COMMENT 'OpsManager (Windows) or Linux',
    ComputerEnvironment  LowCardinality(String)          COMMENT 'Azure or Non-Azure',
    ResourceId           String                          COMMENT 'Azure resource id of the computer',
    VMUUID               String                          COMMENT 'BIOS UUID of the machine',
    ReportId             UUID                            COMMENT 'The scan this row came from',
    ScanVersion          UInt128                         COMMENT 'Orders a computer''s scans: TimeGenerated in ms above, Kafka offset below 2^64',
    SourcePartition      Int32                           COMMENT 'Kafka partition of the enriched scan',
    SourceOffset         Int64                           COMMENT 'Kafka offset of the enriched scan',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
ORDER BY (SourceComputerId, ScanVersion, UpdateID, Product, ProductArch, ProductVersion)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view Update';

-- The newest scan of each computer, the last thing that is written of a scan: the view Update turns to a
-- scan when its row appears here, so no reader sees half of one.
CREATE TABLE IF NOT EXISTS computer_scans
(
    SourceComputerId String   COMMENT 'Identifies the computer',
    ScanVersion      UInt128  COMMENT 'As in update_rows',
    SourcePartition  Int32    COMMENT 'Kafka partition of the enriched scan',
    SourceOffset     Int64    COMMENT 'Kafka offset of the enriched scan'
)
ENGINE = ReplacingMergeTree(ScanVersion)
ORDER BY SourceComputerId
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Newest scan of each computer';

CREATE TABLE IF NOT EXISTS update_summary_rows
(
    SourceComputerId                  String                 COMMENT 'Identifies the computer',
    TimeGenerated                     DateTime64(3, 'UTC')   COMMENT 'Time of the scan, by the computer''s clock',
    ReportId                          UUID                   COMMENT 'The scan this row sums up',
    Computer                          String                 COMMENT 'Name of the computer',
    TimeReceived                      DateTime64(3, 'UTC')   COMMENT 'When the scan reached Patchline',
    OSType                            LowCardinality(String) COMMENT 'Windows or Linux',
    OsVersion                         LowCardinality(String) COMMENT 'Version of the operating system',
    CriticalUpdatesMissing            Int32                  COMMENT 'Needed updates classified Critical Updates',
    SecurityUpdatesMissing            Int32                  COMMENT 'Needed updates classified Security Updates',
    OtherUpdatesMissing               Int32                  COMMENT 'Needed updates of any other class',
    TotalUpdatesMissing               Int32                  COMMENT 'All needed updates',
    OldestMissingSecurityUpdateInDays Nullable(Int32)        COMMENT 'Days since the oldest missing security or critical update was published',
    OldestMissingSecurityUpdateBucket LowCardinality(String) COMMENT 'Recent, 30 days ago ... 180 days ago, Older',
    RestartPending                    Bool                   COMMENT 'A restart is needed to finish an installation',
    NETRuntimeVersion                 LowCardinality(String) COMMENT 'Windows: version of the .NET runtime',
    WindowsUpdateAgentVersion         LowCardinality(String) COMMENT 'Windows: version of the update agent',
    WindowsUpdateSetting              LowCardinality(String) COMMENT 'Windows: how important updates are installed',
    WSUSServer                        LowCardinality(String) COMMENT 'Windows: URL of the WSUS server',
    ManagementGroupName               LowCardinality(String) COMMENT 'Operations Manager group, or AOI-<workspace id>',
    SourceSystem                      LowCardinality(String) COMMENT 'OpsManager (Windows) or Linux',
    ComputerEnvironment               LowCardinality(String) COMMENT 'Azure or Non-Azure',
    ResourceId                        String                 COMMENT 'Azure resource id of the computer',
    VMUUID                            String                 COMMENT 'BIOS UUID of the machine',
    CatalogVersion                    LowCardinality(String) COMMENT 'Version of the catalog that classified the scan',
    SourcePartition                   Int32                  COMMENT 'Kafka partition of the enriched scan',
    SourceOffset                      Int64                  COMMENT 'Kafka offset of the enriched scan',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(TimeGenerated)
ORDER BY (SourceComputerId, TimeGenerated, ReportId)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view UpdateSummary';

CREATE TABLE IF NOT EXISTS update_run_progress_rows
(
    SourceComputerId    String                         COMMENT 'Identifies the computer',
    TimeGenerated       DateTime64(3, 'UTC')           COMMENT 'Time of the report, by the computer''s clock',
    ReportId            UUID                           COMMENT 'The report this row came from',
    Computer            String                         COMMENT 'Name of the computer',
    TimeReceived        DateTime64(3, 'UTC')           COMMENT 'When the report reached Patchline',
    UpdateRunName       LowCardinality(String)         COMMENT 'Name of the update deployment',
    CorrelationId       String                         COMMENT 'Id of the run''s job',
    UpdateId            String                         COMMENT 'The update within the run',
    Title               String                         COMMENT 'Title of the update',
    Product             LowCardinality(String)         COMMENT 'Product or package',
    KBID                LowCardinality(String)         COMMENT 'Knowledge base number, digits only',
    InstallationStatus  LowCardinality(String)         COMMENT 'NotStarted, InProgress, Succeeded, Failed, ...',
    StartTime           Nullable(DateTime64(3, 'UTC')) COMMENT 'When the installation began',
    EndTime             Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended',
    ErrorResult         String                         COMMENT 'Error of the installer',
    SucceededOnRetry    Bool                           COMMENT 'It succeeded when tried again',
    OSType              LowCardinality(String)         COMMENT 'Windows or Linux',
    ManagementGroupName LowCardinality(String)         COMMENT 'Operations Manager group, or AOI-<workspace id>',
    SourceSystem        LowCardinality(String)         COMMENT 'OpsManager (Windows) or Linux',
    ComputerEnvironment LowCardinality(String)         COMMENT 'Azure or Non-Azure',
    ResourceId          String                         COMMENT 'Azure resource id of the computer',
    VMUUID              String                         COMMENT 'BIOS UUID of the machine',
    SourcePartition     Int32                          COMMENT 'Kafka partition of the enriched report',
    SourceOffset        Int64                          COMMENT 'Kafka offset of the enriched report',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(TimeGenerated)
ORDER BY (SourceComputerId, TimeGenerated, ReportId)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view UpdateRunProgress';

CREATE TABLE IF NOT EXISTS heartbeat_rows
(
    SourceComputerId    String                 COMMENT 'Identifies the computer',
    TimeGenerated       DateTime64(3, 'UTC')   COMMENT 'Time of the heartbeat, by the computer''s clock',
    ReportId            UUID                   COMMENT 'The heartbeat this row came from',
    Computer            String                 COMMENT 'Name of the computer',
    TimeReceived        DateTime64(3, 'UTC')   COMMENT 'When the heartbeat reached Patchline',
    OSType              LowCardinality(String) COMMENT 'Windows or Linux',
    OSName              LowCardinality(String) COMMENT 'Name of the operating system',
    OSMajorVersion      LowCardinality(String) COMMENT 'Major version of the operating system',
    OSMinorVersion      LowCardinality(String) COMMENT 'Minor version of the operating system',
    Category            LowCardinality(String) COMMENT 'Direct Agent, SCOM Agent or SCOM Management Server',
    SCAgentChannel      LowCardinality(String) COMMENT 'Direct or SCManagementServer',
    Version             LowCardinality(String) COMMENT 'Version of the agent',
    ComputerIP          String                 COMMENT 'Address that the gateway saw',
    ComputerPrivateIPs  Array(String)          COMMENT 'Private addresses of the computer',
    IsGatewayInstalled  Bool                   COMMENT 'The computer runs a gateway',
    Solutions           LowCardinality(String) COMMENT 'Solutions deployed on the agent, joined with ,',
    ManagementGroupName LowCardinality(String) COMMENT 'Operations Manager group, or AOI-<workspace id>',
    SourceSystem        LowCardinality(String) COMMENT 'OpsManager (Windows) or Linux',
    ComputerEnvironment LowCardinality(String) COMMENT 'Azure or Non-Azure',
    ResourceId          String                 COMMENT 'Azure resource id of the computer',
    VMUUID              String                 COMMENT 'BIOS UUID of the machine',
    SourcePartition     Int32                  COMMENT 'Kafka partition of the heartbeat',
    SourceOffset        Int64                  COMMENT 'Kafka offset of the heartbeat',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(TimeGenerated)
ORDER BY (SourceComputerId, TimeGenerated, ReportId)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view Heartbeat';

-- What analysts query. A computer's rows are those of its newest scan; the version names one stored scan
-- exactly, so a scan that came twice shows once without FINAL.
CREATE VIEW IF NOT EXISTS Update AS
SELECT
    * EXCEPT (ScanVersion, SourcePartition, SourceOffset),
    PublishedDate AS PublishDate,
    UpdateID AS UpdateId,
    TimeReceived AS _TimeReceived,
    lower(ResourceId) AS _ResourceId,
    splitByChar('/', ResourceId)[3] AS SubscriptionId,
    splitByChar('/', ResourceId)[3] AS _SubscriptionId,
    splitByChar('/', ResourceId)[5] AS ResourceGroup,
    splitByChar('/', ResourceId)[7] AS ResourceProvider,
    splitByChar('/', ResourceId)[8] AS ResourceType,
    splitByChar('/', ResourceId)[9] AS Resource,
    'Update' AS Type
FROM update_rows
WHERE (SourceComputerId, ScanVersion) IN
(
    SELECT SourceComputerId, max(ScanVersion)
    FROM computer_scans
    GROUP BY SourceComputerId
);

CREATE VIEW IF NOT EXISTS UpdateSummary AS
SELECT
    * EXCEPT (SourcePartition, SourceOffset),
    TimeReceived AS _TimeReceived,
    lower(ResourceId) AS _ResourceId,
    splitByChar('/', ResourceId)[3] AS SubscriptionId,
    splitByChar('/', ResourceId)[3] AS _SubscriptionId,
    splitByChar('/', ResourceId)[5] AS ResourceGroup,
    splitByChar('/', ResourceId)[7] AS ResourceProvider,
    splitByChar('/', ResourceId)[8] AS ResourceType,
    splitByChar('/', ResourceId)[9] AS Resource,
    'UpdateSummary' AS Type
FROM update_summary_rows FINAL;

CREATE VIEW IF NOT EXISTS UpdateRunProgress AS
SELECT
    * EXCEPT (SourcePartition, SourceOffset),
    UpdateId AS UpdateID,
    TimeReceived AS _TimeReceived,
    lower(ResourceId) AS _ResourceId,
    splitByChar('/', ResourceId)[3] AS SubscriptionId,
    splitByChar('/', ResourceId)[3] AS _SubscriptionId,
    splitByChar('/', ResourceId)[5] AS ResourceGroup,
    splitByChar('/', ResourceId)[7] AS ResourceProvider,
    splitByChar('/', ResourceId)[8] AS ResourceType,
    splitByChar('/', ResourceId)[9] AS Resource,
    'UpdateRunProgress' AS Type
FROM update_run_progress_rows FINAL;

CREATE VIEW IF NOT EXISTS Heartbeat AS
SELECT
    * EXCEPT (SourcePartition, SourceOffset),
    TimeReceived AS _TimeReceived,
    lower(ResourceId) AS _ResourceId,
    splitByChar('/', ResourceId)[3] AS SubscriptionId,
    splitByChar('/', ResourceId)[3] AS _SubscriptionId,
    splitByChar('/', ResourceId)[5] AS ResourceGroup,
    splitByChar('/', ResourceId)[7] AS ResourceProvider,
    splitByChar('/', ResourceId)[8] AS ResourceType,
    splitByChar('/', ResourceId)[9] AS Resource,
    'Heartbeat' AS Type
FROM heartbeat_rows FINAL;
