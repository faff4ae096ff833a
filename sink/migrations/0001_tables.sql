-- A column with an expression behind ALIAS is computed when it is asked for. Views repeat their table's
-- columns; `patchline-sink migrate` copies the comments to them.

-- One row an update of a scan: those of every computer's newest scan, and of older ones until the sink
-- deletes them. The key has the scan in it, so that a merge never takes a row from the scan that is shown
-- while a newer one is still being written. The view Update shows the newest scan's rows only.
CREATE TABLE IF NOT EXISTS update_rows
(
    SourceComputerId     String                                  COMMENT 'Identifies the computer',
    UpdateID             String                                  COMMENT 'Windows: GUID of the update; empty on Linux',
    Product              String                                  COMMENT 'Windows: product the update is for; Linux: package name',
    ProductArch          LowCardinality(String)                  COMMENT 'Linux: package architecture',
    ProductVersion       String                                  COMMENT 'Linux: package version with epoch; Windows: product version',
    Computer             String                                  COMMENT 'Name of the computer',
    TimeGenerated        DateTime64(3, 'UTC')                    COMMENT 'Time of the scan, by the computer''s clock, UTC',
    TimeReceived         DateTime64(3, 'UTC')                    COMMENT 'When the scan reached Patchline, UTC',
    UpdateState          LowCardinality(String)                  COMMENT 'Needed, Not needed (Linux) or Installed (Windows)',
    Title                String                                  COMMENT 'Title of the update',
    KBID                 LowCardinality(String)                  COMMENT 'Knowledge base number, digits only',
    Classification       LowCardinality(String)                  COMMENT 'Final classification',
    ClassificationSource LowCardinality(String)                  COMMENT 'Where the classification comes from: catalog, agent or default',
    AgentClassification  LowCardinality(String)                  COMMENT 'What the computer itself said',
    AgentPublishedDate   Nullable(DateTime64(3, 'UTC'))          COMMENT 'PublishedDate as the computer itself said it, UTC',
    AgentRebootBehavior  LowCardinality(String)                  COMMENT 'RebootBehavior as the computer itself said it',
    AdvisoryIDs          LowCardinality(String)                  COMMENT 'Catalog entries behind the classification, joined with ;',
    CatalogVersion       LowCardinality(String)                  COMMENT 'Version of the catalog that classified the scan',
    MSRCSeverity         LowCardinality(String)                  COMMENT 'Windows: severity as MSRC states it',
    MSRCBulletinID       LowCardinality(String)                  COMMENT 'Windows: MSRC bulletin',
    BulletinID           LowCardinality(String)                  COMMENT 'Bulletin or advisory of the vendor',
    BulletinUrl          LowCardinality(String)                  COMMENT 'Where to read the bulletin',
    CVENumbers           LowCardinality(String)                  COMMENT 'CVE ids, joined with ;',
    PackageSeverity      LowCardinality(String)                  COMMENT 'Linux: severity as the vendor states it',
    SupersededBy         LowCardinality(String)                  COMMENT 'Windows: installed updates that replace this needed one, KB numbers joined with ;',
    PublishedDate        Nullable(DateTime64(3, 'UTC'))          COMMENT 'When the update was published, UTC',
    RebootBehavior       LowCardinality(String)                  COMMENT 'neverreboots, canrequestreboot or alwaysreboots',
    RevisionNumber       LowCardinality(String)                  COMMENT 'Windows: revision of the update',
    PackageRepository    LowCardinality(String)                  COMMENT 'Linux: repository of the package',
    Optional             Bool                                    COMMENT 'The update is optional',
    Approved             Bool                                    COMMENT 'The update is approved for installation',
    ApprovalSource       LowCardinality(String)                  COMMENT 'Who approved it',
    OSType               LowCardinality(String)                  COMMENT 'Windows or Linux',
    OSName               LowCardinality(String)                  COMMENT 'Name of the operating system',
    OSVersion            LowCardinality(String)                  COMMENT 'Version of the operating system',
    OSFullName           LowCardinality(String)                  COMMENT 'Name and version, as the computer says it',
    ManagementGroupName  LowCardinality(String)                  COMMENT 'Operations Manager group, or AOI-<workspace id> for computers that connect directly',
    SourceSystem         LowCardinality(String)                  COMMENT 'OpsManager (Windows) or Linux',
    ComputerEnvironment  LowCardinality(String)                  COMMENT 'Azure or Non-Azure',
    ResourceId           String                                  COMMENT 'Azure resource id of the computer, empty elsewhere',
    VMUUID               String                                  COMMENT 'BIOS UUID of the machine, where the agent sends it',
    ReportId             UUID                                    COMMENT 'The scan this row came from; a resend keeps it',
    _BilledSize          Float64                                 COMMENT 'Bytes: an equal share of the enriched scan''s payload for each of its update rows and its summary row',
    ScanVersion          UInt128                                 COMMENT 'Orders a computer''s scans: TimeGenerated in ms above, Kafka offset below 2^64',
    SourcePartition      Int32                                   COMMENT 'Kafka partition of the enriched scan',
    SourceOffset         Int64                                   COMMENT 'Kafka offset of the enriched scan',
    PublishDate          Nullable(DateTime64(3, 'UTC')) ALIAS PublishedDate COMMENT 'PublishedDate under its name of 2017',
    UpdateId             String ALIAS UpdateID                   COMMENT 'UpdateID as UpdateRunProgress spells it',
    UpdateSeverity       LowCardinality(String) ALIAS if(OSType = 'Linux', PackageSeverity, MSRCSeverity) COMMENT 'MSRCSeverity, on Linux PackageSeverity: their name of 2017',
    OsVersion            LowCardinality(String) ALIAS OSVersion  COMMENT 'OSVersion as UpdateSummary spells it',
    TenantId             String ALIAS if(startsWith(ManagementGroupName, 'AOI-'), substring(ManagementGroupName, 5), '') COMMENT 'Workspace id, where ManagementGroupName is AOI-<workspace id>',
    _TimeReceived        DateTime64(3, 'UTC') ALIAS TimeReceived COMMENT 'TimeReceived under its name in Log Analytics',
    _IsBillable          String ALIAS 'false'                    COMMENT 'true or false; nothing is billed here: false',
    _ResourceId          String ALIAS lower(ResourceId)          COMMENT 'ResourceId in lower case',
    SubscriptionId       String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    _SubscriptionId      String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    ResourceGroup        String ALIAS splitByChar('/', ResourceId)[5] COMMENT 'Azure resource group of ResourceId',
    ResourceProvider     String ALIAS splitByChar('/', ResourceId)[7] COMMENT 'Azure resource provider of ResourceId, as Microsoft.Compute',
    ResourceType         String ALIAS splitByChar('/', ResourceId)[8] COMMENT 'Azure resource type of ResourceId, as virtualMachines',
    Resource             String ALIAS splitByChar('/', ResourceId)[9] COMMENT 'Name of the Azure resource of ResourceId',
    Type                 String ALIAS 'Update'                   COMMENT 'Name of the table',
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
    SourceComputerId String                 COMMENT 'Identifies the computer',
    ScanVersion      UInt128                COMMENT 'As in update_rows',
    CatalogVersion   LowCardinality(String) COMMENT 'Version of the catalog that classified the scan when it came',
    SourcePartition  Int32                  COMMENT 'Kafka partition of the enriched scan',
    SourceOffset     Int64                  COMMENT 'Kafka offset of the enriched scan'
)
ENGINE = ReplacingMergeTree(ScanVersion)
ORDER BY SourceComputerId
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Newest scan of each computer';

-- Rows whose verdict patchline-reclassify is about to change: what its ALTER ... UPDATE looks up. A partition
-- is dropped as soon as its rows have been changed; the TTL is for one that a crash has left.
CREATE TABLE IF NOT EXISTS reclassified_rows
(
    Pass    UInt64          COMMENT 'Which statement they are for',
    Row     FixedString(16) COMMENT 'Digest of the row''s key',
    Verdict UInt32          COMMENT 'Number of the new verdict in the statement, from 1',
    Created DateTime('UTC') DEFAULT now() COMMENT 'When it was written, UTC'
)
ENGINE = MergeTree
PARTITION BY Pass
ORDER BY Row
TTL Created + INTERVAL 1 WEEK
COMMENT 'Rows whose verdict is being changed';

-- In which scans a computer needed an update: what the views UpdateHistory and UpdateStateChange are worked
-- out from.
--
-- Scans arrive late, twice and in any order, and their rows in update_rows are deleted when they are replaced.
-- So a change of state is not stored as such: which rows that would be depends on what had arrived
-- before. Stored are the scans' times, as sets, and sets are united in any order and any number of times to the
-- same end. One row has the times of all scans of a computer, one row an update the times of those that
-- found it Needed. When the state changed follows from the two, exactly, for as often as it changed.
--
-- Only what is needed is written, not what is installed: some twenty rows a scan instead of some six
-- hundred. That an update is no longer needed is seen by its absence from the next scan.
--
-- A row is for four weeks, so that the sets stay small and old ones are never merged again. Its codec was
-- measured on merged sets of 100 to 224 times: two bytes a time, a third of what LZ4 makes of them.
CREATE TABLE IF NOT EXISTS update_history_rows
(
    OfUpdate         Bool                                     COMMENT 'The row is of one update; else of all scans of the computer',
    SourceComputerId String                                   COMMENT 'Identifies the computer',
    UpdateID         String                                   COMMENT 'Windows: GUID of the update; empty on Linux',
    Product          String                                   COMMENT 'Windows: product the update is for; Linux: package name',
    ProductArch      LowCardinality(String)                   COMMENT 'Linux: package architecture',
    ProductVersion   String                                   COMMENT 'Linux: package version with epoch; Windows: product version',
    FourWeeks        Date                                     COMMENT 'First day of the four weeks that the scans are of',
    Scans            SimpleAggregateFunction(groupUniqArrayArray, Array(DateTime64(3, 'UTC')))
                                                              COMMENT 'Times of the scans that found the update needed, or of all, UTC'
                                                              CODEC(Delta(8), ZSTD(1)),
    FirstScan        SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'First of them, UTC',
    LastScan         SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Last of them, UTC',
    Newest           SimpleAggregateFunction(max, Tuple(
        TimeGenerated DateTime64(3, 'UTC'), Computer String, OSType String, Title String, KBID String,
        Classification String, MSRCSeverity String, PackageSeverity String, Optional Bool, Approved Bool,
        ManagementGroupName String, SourceSystem String, ResourceId String))
                                                              COMMENT 'What the newest of these scans said of computer and update',
    SourcePartition  SimpleAggregateFunction(max, Int32)      COMMENT 'Kafka partition of the last enriched scan',
    SourceOffset     SimpleAggregateFunction(max, Int64)      COMMENT 'Kafka offset of the last enriched scan'
)
ENGINE = AggregatingMergeTree
PARTITION BY FourWeeks
ORDER BY (OfUpdate, SourceComputerId, UpdateID, Product, ProductArch, ProductVersion, FourWeeks)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the views UpdateHistory and UpdateStateChange';

CREATE TABLE IF NOT EXISTS update_summary_rows
(
    SourceComputerId                  String                                  COMMENT 'Identifies the computer',
    TimeGenerated                     DateTime64(3, 'UTC')                    COMMENT 'Time of the scan, by the computer''s clock, UTC',
    ReportId                          UUID                                    COMMENT 'The scan this row came from; a resend keeps it',
    Computer                          String                                  COMMENT 'Name of the computer',
    TimeReceived                      DateTime64(3, 'UTC')                    COMMENT 'When the scan reached Patchline, UTC',
    OSType                            LowCardinality(String)                  COMMENT 'Windows or Linux',
    OsVersion                         LowCardinality(String)                  COMMENT 'Version of the operating system',
    CriticalUpdatesMissing            Int32                                   COMMENT 'Missing updates classified Critical Updates',
    SecurityUpdatesMissing            Int32                                   COMMENT 'Missing updates classified Security Updates',
    OtherUpdatesMissing               Int32                                   COMMENT 'Missing updates of any other class',
    TotalUpdatesMissing               Int32                                   COMMENT 'All missing updates: needed, approved and not optional',
    OldestMissingSecurityUpdateInDays Nullable(Int32)                         COMMENT 'Days from the publication of the oldest missing security or critical update to the scan; null where none has a date',
    OldestMissingSecurityUpdateBucket LowCardinality(String)                  COMMENT 'The same in steps of 30 days: Recent, 30 days ago ... 180 days ago, Older',
    RestartPending                    Bool                                    COMMENT 'A restart is needed to finish an installation',
    NETRuntimeVersion                 LowCardinality(String)                  COMMENT 'Windows: version of the .NET runtime',
    WindowsUpdateAgentVersion         LowCardinality(String)                  COMMENT 'Windows: version of the update agent',
    WindowsUpdateSetting              LowCardinality(String)                  COMMENT 'Windows: how important updates are installed',
    WSUSServer                        LowCardinality(String)                  COMMENT 'Windows: URL of the WSUS server',
    ManagementGroupName               LowCardinality(String)                  COMMENT 'Operations Manager group, or AOI-<workspace id> for computers that connect directly',
    SourceSystem                      LowCardinality(String)                  COMMENT 'OpsManager (Windows) or Linux',
    ComputerEnvironment               LowCardinality(String)                  COMMENT 'Azure or Non-Azure',
    ResourceId                        String                                  COMMENT 'Azure resource id of the computer, empty elsewhere',
    VMUUID                            String                                  COMMENT 'BIOS UUID of the machine, where the agent sends it',
    CatalogVersion                    LowCardinality(String)                  COMMENT 'Version of the catalog that classified the scan',
    _BilledSize                       Float64                                 COMMENT 'Bytes: an equal share of the enriched scan''s payload for each of its update rows and its summary row',
    SourcePartition                   Int32                                   COMMENT 'Kafka partition of the enriched scan',
    SourceOffset                      Int64                                   COMMENT 'Kafka offset of the enriched scan',
    OSVersion                         LowCardinality(String) ALIAS OsVersion  COMMENT 'OsVersion as Update spells it',
    TenantId                          String ALIAS if(startsWith(ManagementGroupName, 'AOI-'), substring(ManagementGroupName, 5), '') COMMENT 'Workspace id, where ManagementGroupName is AOI-<workspace id>',
    _TimeReceived                     DateTime64(3, 'UTC') ALIAS TimeReceived COMMENT 'TimeReceived under its name in Log Analytics',
    _IsBillable                       String ALIAS 'false'                    COMMENT 'true or false; nothing is billed here: false',
    _ResourceId                       String ALIAS lower(ResourceId)          COMMENT 'ResourceId in lower case',
    SubscriptionId                    String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    _SubscriptionId                   String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    ResourceGroup                     String ALIAS splitByChar('/', ResourceId)[5] COMMENT 'Azure resource group of ResourceId',
    ResourceProvider                  String ALIAS splitByChar('/', ResourceId)[7] COMMENT 'Azure resource provider of ResourceId, as Microsoft.Compute',
    ResourceType                      String ALIAS splitByChar('/', ResourceId)[8] COMMENT 'Azure resource type of ResourceId, as virtualMachines',
    Resource                          String ALIAS splitByChar('/', ResourceId)[9] COMMENT 'Name of the Azure resource of ResourceId',
    Type                              String ALIAS 'UpdateSummary'            COMMENT 'Name of the table',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(TimeGenerated)
ORDER BY (SourceComputerId, TimeGenerated, ReportId)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view UpdateSummary';

CREATE TABLE IF NOT EXISTS update_run_progress_rows
(
    SourceComputerId    String                                  COMMENT 'Identifies the computer',
    TimeGenerated       DateTime64(3, 'UTC')                    COMMENT 'Time of the report, by the computer''s clock, UTC',
    ReportId            UUID                                    COMMENT 'The report this row came from; a resend keeps it',
    Computer            String                                  COMMENT 'Name of the computer',
    TimeReceived        DateTime64(3, 'UTC')                    COMMENT 'When the report reached Patchline, UTC',
    UpdateRunName       LowCardinality(String)                  COMMENT 'Name of the update deployment',
    CorrelationId       String                                  COMMENT 'Id of the run''s job',
    UpdateId            String                                  COMMENT 'The update within the run',
    Title               String                                  COMMENT 'Title of the update',
    Product             LowCardinality(String)                  COMMENT 'Product or package',
    KBID                LowCardinality(String)                  COMMENT 'Knowledge base number, digits only',
    InstallationStatus  LowCardinality(String)                  COMMENT 'NotStarted, FailedToStart, Failed, InProgress, MaintenanceWindowExceeded, Succeeded, InstallFailed, NotIncluded or Excluded',
    StartTime           Nullable(DateTime64(3, 'UTC'))          COMMENT 'When the installation began, UTC',
    EndTime             Nullable(DateTime64(3, 'UTC'))          COMMENT 'When it ended, UTC',
    ErrorResult         String                                  COMMENT 'Error of the installer',
    SucceededOnRetry    Bool                                    COMMENT 'It succeeded when tried again',
    OSType              LowCardinality(String)                  COMMENT 'Windows or Linux',
    ManagementGroupName LowCardinality(String)                  COMMENT 'Operations Manager group, or AOI-<workspace id> for computers that connect directly',
    SourceSystem        LowCardinality(String)                  COMMENT 'OpsManager (Windows) or Linux',
    ComputerEnvironment LowCardinality(String)                  COMMENT 'Azure or Non-Azure',
    ResourceId          String                                  COMMENT 'Azure resource id of the computer, empty elsewhere',
    VMUUID              String                                  COMMENT 'BIOS UUID of the machine, where the agent sends it',
    _BilledSize         Float64                                 COMMENT 'Bytes of the message as Kafka has it: its payload''s',
    SourcePartition     Int32                                   COMMENT 'Kafka partition of the enriched report',
    SourceOffset        Int64                                   COMMENT 'Kafka offset of the enriched report',
    UpdateID            String ALIAS UpdateId                   COMMENT 'UpdateId as Update spells it',
    TenantId            String ALIAS if(startsWith(ManagementGroupName, 'AOI-'), substring(ManagementGroupName, 5), '') COMMENT 'Workspace id, where ManagementGroupName is AOI-<workspace id>',
    _TimeReceived       DateTime64(3, 'UTC') ALIAS TimeReceived COMMENT 'TimeReceived under its name in Log Analytics',
    _IsBillable         String ALIAS 'false'                    COMMENT 'true or false; nothing is billed here: false',
    _ResourceId         String ALIAS lower(ResourceId)          COMMENT 'ResourceId in lower case',
    SubscriptionId      String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    _SubscriptionId     String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    ResourceGroup       String ALIAS splitByChar('/', ResourceId)[5] COMMENT 'Azure resource group of ResourceId',
    ResourceProvider    String ALIAS splitByChar('/', ResourceId)[7] COMMENT 'Azure resource provider of ResourceId, as Microsoft.Compute',
    ResourceType        String ALIAS splitByChar('/', ResourceId)[8] COMMENT 'Azure resource type of ResourceId, as virtualMachines',
    Resource            String ALIAS splitByChar('/', ResourceId)[9] COMMENT 'Name of the Azure resource of ResourceId',
    Type                String ALIAS 'UpdateRunProgress'        COMMENT 'Name of the table',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(TimeGenerated)
ORDER BY (SourceComputerId, TimeGenerated, ReportId)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view UpdateRunProgress';

CREATE TABLE IF NOT EXISTS heartbeat_rows
(
    SourceComputerId    String                                  COMMENT 'Identifies the computer',
    TimeGenerated       DateTime64(3, 'UTC')                    COMMENT 'Time of the heartbeat, by the computer''s clock, UTC',
    ReportId            UUID                                    COMMENT 'The heartbeat this row came from; a resend keeps it',
    Computer            String                                  COMMENT 'Name of the computer',
    TimeReceived        DateTime64(3, 'UTC')                    COMMENT 'When the heartbeat reached Patchline, UTC',
    OSType              LowCardinality(String)                  COMMENT 'Windows or Linux',
    OSName              LowCardinality(String)                  COMMENT 'Name of the operating system',
    OSMajorVersion      LowCardinality(String)                  COMMENT 'Major version of the operating system',
    OSMinorVersion      LowCardinality(String)                  COMMENT 'Minor version of the operating system',
    Category            LowCardinality(String)                  COMMENT 'Direct Agent, SCOM Agent or SCOM Management Server',
    SCAgentChannel      LowCardinality(String)                  COMMENT 'Direct or SCManagementServer',
    Version             LowCardinality(String)                  COMMENT 'Version of the agent',
    ComputerIP          String                                  COMMENT 'Address that the gateway saw',
    ComputerPrivateIPs  Array(String)                           COMMENT 'Private addresses of the computer',
    IsGatewayInstalled  Bool                                    COMMENT 'The computer runs a gateway',
    Solutions           LowCardinality(String)                  COMMENT 'Solutions deployed on the agent, joined with ,',
    ManagementGroupName LowCardinality(String)                  COMMENT 'Operations Manager group, or AOI-<workspace id> for computers that connect directly',
    SourceSystem        LowCardinality(String)                  COMMENT 'OpsManager (Windows) or Linux',
    ComputerEnvironment LowCardinality(String)                  COMMENT 'Azure or Non-Azure',
    ResourceId          String                                  COMMENT 'Azure resource id of the computer, empty elsewhere',
    VMUUID              String                                  COMMENT 'BIOS UUID of the machine, where the agent sends it',
    _BilledSize         Float64                                 COMMENT 'Bytes of the message as Kafka has it: its payload''s',
    SourcePartition     Int32                                   COMMENT 'Kafka partition of the heartbeat',
    SourceOffset        Int64                                   COMMENT 'Kafka offset of the heartbeat',
    TenantId            String ALIAS if(startsWith(ManagementGroupName, 'AOI-'), substring(ManagementGroupName, 5), '') COMMENT 'Workspace id, where ManagementGroupName is AOI-<workspace id>',
    _TimeReceived       DateTime64(3, 'UTC') ALIAS TimeReceived COMMENT 'TimeReceived under its name in Log Analytics',
    _IsBillable         String ALIAS 'false'                    COMMENT 'true or false; nothing is billed here: false',
    _ResourceId         String ALIAS lower(ResourceId)          COMMENT 'ResourceId in lower case',
    SubscriptionId      String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    _SubscriptionId     String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    ResourceGroup       String ALIAS splitByChar('/', ResourceId)[5] COMMENT 'Azure resource group of ResourceId',
    ResourceProvider    String ALIAS splitByChar('/', ResourceId)[7] COMMENT 'Azure resource provider of ResourceId, as Microsoft.Compute',
    ResourceType        String ALIAS splitByChar('/', ResourceId)[8] COMMENT 'Azure resource type of ResourceId, as virtualMachines',
    Resource            String ALIAS splitByChar('/', ResourceId)[9] COMMENT 'Name of the Azure resource of ResourceId',
    Type                String ALIAS 'Heartbeat'                COMMENT 'Name of the table',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(TimeGenerated)
ORDER BY (SourceComputerId, TimeGenerated, ReportId)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view Heartbeat';

CREATE TABLE IF NOT EXISTS event_rows
(
    SourceComputerId    String                                  COMMENT 'Identifies the computer',
    TimeGenerated       DateTime64(3, 'UTC')                    COMMENT 'Time of the event, by the computer''s clock, UTC',
    ReportId            UUID                                    COMMENT 'The event this row came from; a resend keeps it',
    Computer            String                                  COMMENT 'Name of the computer',
    TimeReceived        DateTime64(3, 'UTC')                    COMMENT 'When the event reached Patchline, UTC',
    OSType              LowCardinality(String)                  COMMENT 'Windows or Linux',
    EventLog            LowCardinality(String)                  COMMENT 'Log that the event was written to: System, Application, Operations Manager',
    Source              LowCardinality(String)                  COMMENT 'What wrote the event',
    EventID             Int32                                   COMMENT 'Number of the event',
    EventCategory       Int32                                   COMMENT 'Category of the event',
    EventLevel          Int32                                   COMMENT 'Severity as a number: 1 critical, 2 error, 3 warning, 4 information',
    EventLevelName      LowCardinality(String)                  COMMENT 'Severity as text: Error, Warning, Information',
    UserName            LowCardinality(String)                  COMMENT 'Account that logged the event',
    Message             String                                  COMMENT 'Text of the event in its own language',
    ParameterXml        String                                  COMMENT 'Values of the event''s parameters, XML',
    EventData           String                                  COMMENT 'The event''s data as it was logged, XML',
    RenderedDescription String                                  COMMENT 'Description with the parameters'' values filled in',
    AzureDeploymentID   LowCardinality(String)                  COMMENT 'Azure deployment of the cloud service that the event belongs to, else empty',
    Role                LowCardinality(String)                  COMMENT 'Role of that cloud service, else empty',
    ManagementGroupName LowCardinality(String)                  COMMENT 'Operations Manager group, or AOI-<workspace id> for computers that connect directly',
    SourceSystem        LowCardinality(String)                  COMMENT 'OpsManager (Windows) or Linux',
    ComputerEnvironment LowCardinality(String)                  COMMENT 'Azure or Non-Azure',
    ResourceId          String                                  COMMENT 'Azure resource id of the computer, empty elsewhere',
    VMUUID              String                                  COMMENT 'BIOS UUID of the machine, where the agent sends it',
    _BilledSize         Float64                                 COMMENT 'Bytes of the message as Kafka has it: its payload''s',
    SourcePartition     Int32                                   COMMENT 'Kafka partition of the event',
    SourceOffset        Int64                                   COMMENT 'Kafka offset of the event',
    TenantId            String ALIAS if(startsWith(ManagementGroupName, 'AOI-'), substring(ManagementGroupName, 5), '') COMMENT 'Workspace id, where ManagementGroupName is AOI-<workspace id>',
    _TimeReceived       DateTime64(3, 'UTC') ALIAS TimeReceived COMMENT 'TimeReceived under its name in Log Analytics',
    _IsBillable         String ALIAS 'false'                    COMMENT 'true or false; nothing is billed here: false',
    _ResourceId         String ALIAS lower(ResourceId)          COMMENT 'ResourceId in lower case',
    SubscriptionId      String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    _SubscriptionId     String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    ResourceGroup       String ALIAS splitByChar('/', ResourceId)[5] COMMENT 'Azure resource group of ResourceId',
    ResourceProvider    String ALIAS splitByChar('/', ResourceId)[7] COMMENT 'Azure resource provider of ResourceId, as Microsoft.Compute',
    ResourceType        String ALIAS splitByChar('/', ResourceId)[8] COMMENT 'Azure resource type of ResourceId, as virtualMachines',
    Resource            String ALIAS splitByChar('/', ResourceId)[9] COMMENT 'Name of the Azure resource of ResourceId',
    Type                String ALIAS 'Event'                    COMMENT 'Name of the table',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(TimeGenerated)
ORDER BY (SourceComputerId, TimeGenerated, ReportId)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view Event';

-- A column of several JSON objects is an array of them: Members[1].UPN, or ARRAY JOIN Members.
CREATE TABLE IF NOT EXISTS office_activity_rows
(
    OfficeTenantKey                  String                                  COMMENT 'Key of the message: OfficeTenantId, else OrganizationId, else TenantId',
    TimeGenerated                    DateTime64(3, 'UTC')                    COMMENT 'When the user did it, UTC',
    ReportId                         UUID                                    COMMENT 'The record this row came from; a resend keeps it',
    TimeReceived                     DateTime64(3, 'UTC')                    COMMENT 'When the record reached Patchline, UTC',
    TenantId                         LowCardinality(String)                  COMMENT 'Workspace that the record was sent to',
    SourceSystem                     LowCardinality(String)                  COMMENT 'OfficeActivityManager, or what the sender says',
    ResourceId                       String                                  COMMENT 'Azure resource that the record is about, else empty',
    AADGroupId                       LowCardinality(String)                  COMMENT 'Azure AD: group',
    AADTarget                        LowCardinality(String)                  COMMENT 'Azure AD: user that the operation was done to',
    Activity                         String                                  COMMENT 'What the user did',
    Actor                            LowCardinality(String)                  COMMENT 'Azure AD: user or service that did it',
    ActorContextId                   LowCardinality(String)                  COMMENT 'Azure AD: organization of the actor, GUID',
    ActorIpAddress                   LowCardinality(String)                  COMMENT 'Azure AD: address of the actor, IPv4 or IPv6',
    AddOnGuid                        LowCardinality(String)                  COMMENT 'Teams: id of the add-on',
    AddonName                        LowCardinality(String)                  COMMENT 'Teams: name of the add-on',
    AddOnType                        LowCardinality(String)                  COMMENT 'Teams: kind of the add-on',
    AffectedItems                    String                                  COMMENT 'Exchange: items of the operation on several',
    AppDistributionMode              LowCardinality(String)                  COMMENT 'Teams: how the app is distributed',
    AppId                            LowCardinality(String)                  COMMENT 'Id of the application',
    Application                      LowCardinality(String)                  COMMENT 'Azure AD: name of the application',
    ApplicationId                    LowCardinality(String)                  COMMENT 'SharePoint: id of the application',
    AppPoolName                      LowCardinality(String)                  COMMENT 'Name of the application pool',
    AzureActiveDirectory_EventType   LowCardinality(String)                  COMMENT 'Azure AD: kind of event',
    AzureADAppId                     LowCardinality(String)                  COMMENT 'Teams: Azure AD id of the application',
    ChannelGuid                      LowCardinality(String)                  COMMENT 'Teams: id of the channel',
    ChannelName                      LowCardinality(String)                  COMMENT 'Teams: name of the channel',
    ChannelType                      LowCardinality(String)                  COMMENT 'Teams: Standard or Private',
    ChatName                         LowCardinality(String)                  COMMENT 'Teams: name of the chat',
    ChatThreadId                     String                                  COMMENT 'Teams: id of the chat',
    Client                           String                                  COMMENT 'Azure AD: device, system and browser of the sign-in',
    Client_IPAddress                 LowCardinality(String)                  COMMENT 'Exchange: address of the device',
    ClientAppId                      LowCardinality(String)                  COMMENT 'Exchange: id of the client application',
    ClientInfoString                 String                                  COMMENT 'Exchange: mail client, as it names itself',
    ClientIP                         LowCardinality(String)                  COMMENT 'Address of the device',
    ClientMachineName                LowCardinality(String)                  COMMENT 'Exchange: computer that Outlook ran on',
    ClientProcessName                LowCardinality(String)                  COMMENT 'Exchange: program that read the mailbox',
    ClientVersion                    LowCardinality(String)                  COMMENT 'Exchange: version of the mail client',
    CommunicationType                LowCardinality(String)                  COMMENT 'Teams: kind of communication',
    CrossMailboxOperations           Nullable(Bool)                          COMMENT 'Exchange: the operation touched more than one mailbox',
    CustomEvent                      String                                  COMMENT 'SharePoint: what a custom event says of itself',
    DataCenterSecurityEventType      Nullable(Int32)                         COMMENT 'Lockbox: kind of cmdlet',
    DestFolder                       String                                  COMMENT 'Exchange: folder that the items went to',
    DestinationFileExtension         LowCardinality(String)                  COMMENT 'SharePoint: extension of the copied or moved file',
    DestinationFileName              String                                  COMMENT 'SharePoint: name of the copied or moved file',
    DestinationRelativeUrl           String                                  COMMENT 'SharePoint: folder that the file was copied or moved to',
    DestMailboxId                    LowCardinality(String)                  COMMENT 'Exchange: other mailbox, where CrossMailboxOperations',
    DestMailboxOwnerMasterAccountSid LowCardinality(String)                  COMMENT 'Exchange: SID of the master account of the other mailbox''s owner',
    DestMailboxOwnerSid              LowCardinality(String)                  COMMENT 'Exchange: SID of the other mailbox''s owner',
    DestMailboxOwnerUPN              LowCardinality(String)                  COMMENT 'Exchange: UPN of the other mailbox''s owner',
    EffectiveOrganization            LowCardinality(String)                  COMMENT 'Lockbox: tenant that the elevation was for',
    ElevationApprovedTime            Nullable(DateTime64(3, 'UTC'))          COMMENT 'Lockbox: when the elevation was approved, UTC',
    ElevationApprover                LowCardinality(String)                  COMMENT 'Lockbox: who approved it',
    ElevationDuration                Nullable(Int32)                         COMMENT 'Lockbox: how long it was active, hours',
    ElevationRequestId               String                                  COMMENT 'Lockbox: id of the request',
    ElevationRole                    LowCardinality(String)                  COMMENT 'Lockbox: role that was asked for',
    ElevationTime                    Nullable(DateTime64(3, 'UTC'))          COMMENT 'Lockbox: when it began, UTC',
    Event_Data                       String                                  COMMENT 'SharePoint: data of a custom event',
    EventSource                      LowCardinality(String)                  COMMENT 'SharePoint or ObjectModel',
    ExtendedProperties               String                                  COMMENT 'Azure AD: further properties of the event',
    ExternalAccess                   LowCardinality(String)                  COMMENT 'Exchange: the cmdlet was not run by a user of the organization',
    ExtraProperties                  Array(JSON(max_dynamic_paths = 32))     COMMENT 'Further properties, one JSON object each',
    Folder                           String                                  COMMENT 'Exchange: folder of the items',
    Folders                          String                                  COMMENT 'Exchange: folders that the items came from',
    GenericInfo                      String                                  COMMENT 'Comments and whatever else',
    InternalLogonType                Nullable(Int32)                         COMMENT 'Exchange: for internal use',
    InterSystemsId                   String                                  COMMENT 'GUID that follows the action through Office 365',
    IntraSystemId                    String                                  COMMENT 'GUID that Azure AD follows the action by',
    IsManagedDevice                  Nullable(Bool)                          COMMENT 'The organization manages the device',
    Item                             String                                  COMMENT 'Exchange: item of the operation',
    ItemName                         String                                  COMMENT 'Exchange: subject of the message',
    ItemType                         LowCardinality(String)                  COMMENT 'SharePoint: File, Folder, Web, Site, ...',
    LoginStatus                      Nullable(Int32)                         COMMENT 'Azure AD: status of the sign-in, as a number',
    Logon_Type                       LowCardinality(String)                  COMMENT 'Exchange: owner, administrator or delegate',
    LogonUserDisplayName             LowCardinality(String)                  COMMENT 'Exchange: name of the user',
    LogonUserSid                     LowCardinality(String)                  COMMENT 'Exchange: SID of the user',
    MachineDomainInfo                String                                  COMMENT 'OneDrive: domain of the device that was synchronized',
    MachineId                        LowCardinality(String)                  COMMENT 'OneDrive: device that was synchronized',
    MailboxGuid                      LowCardinality(String)                  COMMENT 'Exchange: mailbox, GUID',
    MailboxOwnerMasterAccountSid     LowCardinality(String)                  COMMENT 'Exchange: SID of the master account of the mailbox''s owner',
    MailboxOwnerSid                  LowCardinality(String)                  COMMENT 'Exchange: SID of the mailbox''s owner',
    MailboxOwnerUPN                  LowCardinality(String)                  COMMENT 'Exchange: UPN of the mailbox''s owner',
    Members                          Array(JSON(max_dynamic_paths = 32))     COMMENT 'Teams: members of the team, one JSON object each',
    MessageId                        String                                  COMMENT 'Teams: id of the message',
    ModifiedObjectResolvedName       LowCardinality(String)                  COMMENT 'Exchange: readable name of the object that the cmdlet changed',
    ModifiedProperties               String                                  COMMENT 'Properties that an administrator changed',
    Name                             LowCardinality(String)                  COMMENT 'Teams: setting that changed',
    NewValue                         String                                  COMMENT 'Teams: its value afterwards',
    OfficeId                         String                                  COMMENT 'Id of the audit record',
    OfficeObjectId                   String                                  COMMENT 'SharePoint, OneDrive: URL of the file or folder; Exchange: object that the cmdlet changed',
    OfficeTenantId                   LowCardinality(String)                  COMMENT 'Office 365 tenant',
    OfficeWorkload                   LowCardinality(String)                  COMMENT 'AzureActiveDirectory, Exchange, OneDrive, SharePoint, ...',
    OldValue                         String                                  COMMENT 'Teams: value of the setting before',
    Operation                        LowCardinality(String)                  COMMENT 'What was done, as FileDownloaded',
    OperationProperties              Array(JSON(max_dynamic_paths = 32))     COMMENT 'Further properties of the operation, one JSON object each',
    OperationScope                   String                                  COMMENT 'Scope of the operation',
    OrganizationId                   LowCardinality(String)                  COMMENT 'Organization, GUID',
    OrganizationName                 LowCardinality(String)                  COMMENT 'Name of the tenant',
    OriginatingServer                LowCardinality(String)                  COMMENT 'Exchange: server that the cmdlet ran on',
    Parameters                       String                                  COMMENT 'Exchange: parameters of the cmdlet, JSON text',
    RecordType                       LowCardinality(String)                  COMMENT 'Kind of audit record, as SharePointFileOperation',
    ResultReasonType                 LowCardinality(String)                  COMMENT 'Why the result is what it is',
    ResultStatus                     LowCardinality(String)                  COMMENT 'Whether the operation succeeded',
    SendAsUserMailboxGuid            LowCardinality(String)                  COMMENT 'Exchange: mailbox that the mail was sent as, GUID',
    SendAsUserSmtp                   LowCardinality(String)                  COMMENT 'Exchange: address that the mail was sent as',
    SendonBehalfOfUserMailboxGuid    LowCardinality(String)                  COMMENT 'Exchange: mailbox that the mail was sent on behalf of, GUID',
    SendOnBehalfOfUserSmtp           LowCardinality(String)                  COMMENT 'Exchange: address that the mail was sent on behalf of',
    SharingType                      LowCardinality(String)                  COMMENT 'SharePoint: permissions that UserSharedWith was given',
    Site_                            LowCardinality(String)                  COMMENT 'SharePoint: site, GUID',
    Site_Url                         LowCardinality(String)                  COMMENT 'SharePoint: URL of the site',
    Source_Name                      LowCardinality(String)                  COMMENT 'SharePoint: what triggered the operation',
    SourceFileExtension              LowCardinality(String)                  COMMENT 'SharePoint: extension of the file',
    SourceFileName                   String                                  COMMENT 'SharePoint: name of the file or folder',
    SourceRecordId                   String                                  COMMENT 'Id of the audit record at its source',
    SourceRelativeUrl                String                                  COMMENT 'SharePoint: folder of the file',
    SRPolicyId                       LowCardinality(String)                  COMMENT 'Id of the policy',
    SRPolicyName                     LowCardinality(String)                  COMMENT 'Name of the policy',
    SRRuleMatchDetails               Array(JSON(max_dynamic_paths = 32))     COMMENT 'What the policy''s rules matched, one JSON object each',
    Start_Time                       Nullable(DateTime64(3, 'UTC'))          COMMENT 'Exchange: when the cmdlet was run, UTC',
    SupportTicketId                  String                                  COMMENT 'Support ticket of an action on behalf of somebody',
    TabType                          LowCardinality(String)                  COMMENT 'Teams: kind of tab',
    TargetContextId                  LowCardinality(String)                  COMMENT 'Azure AD: organization of the user that it was done to, GUID',
    TargetUserId                     LowCardinality(String)                  COMMENT 'User that it was done to',
    TargetUserOrGroupName            LowCardinality(String)                  COMMENT 'SharePoint: user or group that something was shared with',
    TargetUserOrGroupType            LowCardinality(String)                  COMMENT 'SharePoint: Member, Guest, Group or Partner',
    TeamGuid                         LowCardinality(String)                  COMMENT 'Teams: id of the team',
    TeamName                         LowCardinality(String)                  COMMENT 'Teams: name of the team',
    UserAgent                        String                                  COMMENT 'Program of the user, as it names itself',
    UserDomain                       LowCardinality(String)                  COMMENT 'Domain of the user',
    UserId                           LowCardinality(String)                  COMMENT 'UPN of the user who did it',
    UserKey                          LowCardinality(String)                  COMMENT 'Another id of that user',
    UserSharedWith                   LowCardinality(String)                  COMMENT 'SharePoint: user that something was shared with',
    UserType                         LowCardinality(String)                  COMMENT 'Kind of user',
    _BilledSize                      Float64                                 COMMENT 'Bytes of the message as Kafka has it: its payload''s',
    SourcePartition                  Int32                                   COMMENT 'Kafka partition of the record',
    SourceOffset                     Int64                                   COMMENT 'Kafka offset of the record',
    _TimeReceived                    DateTime64(3, 'UTC') ALIAS TimeReceived COMMENT 'TimeReceived under its name in Log Analytics',
    _IsBillable                      String ALIAS 'false'                    COMMENT 'true or false; nothing is billed here: false',
    _ResourceId                      String ALIAS lower(ResourceId)          COMMENT 'ResourceId in lower case',
    _SubscriptionId                  String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    Type                             String ALIAS 'OfficeActivity'           COMMENT 'Name of the table',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(TimeGenerated)
ORDER BY (OfficeTenantKey, TimeGenerated, ReportId)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view OfficeActivity';

CREATE TABLE IF NOT EXISTS custom_rows
(
    WorkspaceId     String                                  COMMENT 'Workspace that the record was sent to',
    LogType         LowCardinality(String)                  COMMENT 'Name of the log, without the _CL that Log Analytics appends',
    TimeGenerated   DateTime64(3, 'UTC')                    COMMENT 'From the record''s own time field, else when it was received, UTC',
    ReportId        UUID                                    COMMENT 'The record this row came from; a resend keeps it',
    TimeReceived    DateTime64(3, 'UTC')                    COMMENT 'When the record reached Patchline, UTC',
    Record          JSON(max_dynamic_paths = 256)           COMMENT 'The record; its fields are read as Record.Name',
    ResourceId      String                                  COMMENT 'Azure resource that the record is about, else empty',
    _BilledSize     Float64                                 COMMENT 'Bytes of the message as Kafka has it: its payload''s',
    SourcePartition Int32                                   COMMENT 'Kafka partition of the record',
    SourceOffset    Int64                                   COMMENT 'Kafka offset of the record',
    TenantId        String ALIAS WorkspaceId                COMMENT 'WorkspaceId under its name in Log Analytics',
    _TimeReceived   DateTime64(3, 'UTC') ALIAS TimeReceived COMMENT 'TimeReceived under its name in Log Analytics',
    _IsBillable     String ALIAS 'false'                    COMMENT 'true or false; nothing is billed here: false',
    _ResourceId     String ALIAS lower(ResourceId)          COMMENT 'ResourceId in lower case',
    _SubscriptionId String ALIAS splitByChar('/', ResourceId)[3] COMMENT 'Azure subscription of ResourceId',
    Type            String ALIAS concat(LogType, '_CL')     COMMENT 'Name of the table',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(TimeGenerated)
ORDER BY (WorkspaceId, LogType, TimeGenerated, ReportId)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view Custom';

-- How long others took to install an update, worked out anew every ten minutes beside the data path: nothing
-- that is stored depends on it. An update is found by its UpdateID, by KB number or by package name.
CREATE MATERIALIZED VIEW IF NOT EXISTS update_install_times
REFRESH EVERY 10 MINUTE
(
    Update            String  COMMENT 'id:<UpdateID in lower case>, kb:<KBID> or package:<Product>',
    Installations     UInt64  COMMENT 'Installations that succeeded and have both times',
    PredictionSeconds Float64 COMMENT 'Mean time from start to end, seconds',
    DeviationSeconds  Float64 COMMENT 'Standard deviation of that time over all installations, seconds'
)
ENGINE = MergeTree
ORDER BY Update
AS SELECT
    arrayJoin(arrayFilter(name -> NOT endsWith(name, ':'), if(OSType = 'Windows',
        [concat('id:', lower(UpdateId)), concat('kb:', KBID)], [concat('package:', Product)]))) AS Update,
    count() AS Installations,
    avg(Seconds) AS PredictionSeconds,
    stddevPop(Seconds) AS DeviationSeconds
FROM
(
    SELECT OSType, UpdateId, KBID, Product, dateDiff('millisecond', StartTime, EndTime) / 1000 AS Seconds
    FROM update_run_progress_rows FINAL
    WHERE InstallationStatus = 'Succeeded' AND EndTime >= StartTime
)
GROUP BY Update
COMMENT 'Time that the installation of an update takes';

-- What analysts query. A computer's rows are those of its newest scan; the version names one stored scan
-- exactly, so a scan that came twice shows once without FINAL.
--
-- The install times are constants of the query, looked up by hash for those rows and queries only that ask for
-- them: a join would cost every query.
CREATE VIEW IF NOT EXISTS Update AS
WITH
    (
        SELECT (groupArray(Update), groupArray(PredictionSeconds), groupArray(DeviationSeconds))
        FROM (SELECT * FROM update_install_times ORDER BY Update)
    ) AS InstallTimes,
    if(OSType = 'Windows', concat('id:', lower(UpdateID)), concat('package:', Product)) AS ById,
    concat('kb:', KBID) AS ByKb,
    transform(ById, InstallTimes.1, InstallTimes.2, transform(ByKb, InstallTimes.1, InstallTimes.2, nan)) AS Prediction,
    transform(ById, InstallTimes.1, InstallTimes.3, transform(ByKb, InstallTimes.1, InstallTimes.3, nan)) AS Deviation
SELECT
    * EXCEPT (AgentPublishedDate, AgentRebootBehavior, ScanVersion, SourcePartition, SourceOffset),
    CAST(NOT isNaN(Prediction) AS Bool) AS InstallTimeAvailable,
    if(isNaN(Prediction), NULL, Prediction) AS InstallTimePredictionSeconds,
    if(isNaN(Deviation), NULL, Deviation) AS InstallTimeDeviationRangeSeconds,
    PublishDate, UpdateId, UpdateSeverity, OsVersion, TenantId, _TimeReceived, _IsBillable, _ResourceId,
    SubscriptionId, _SubscriptionId, ResourceGroup, ResourceProvider, ResourceType, Resource, Type
FROM update_rows
WHERE (SourceComputerId, ScanVersion) IN
(
    SELECT SourceComputerId, max(ScanVersion)
    FROM computer_scans
    GROUP BY SourceComputerId
);

-- One row an update that a computer has needed: since when, until when, and what became of it. Reads the sets'
-- bounds, not the sets, so that the whole fleet can be asked. An update that was needed again after
-- it was installed has one row from the first time to the last; UpdateStateChange has every change.
CREATE VIEW IF NOT EXISTS UpdateHistory AS
WITH
computers AS
(
    SELECT
        SourceComputerId,
        FourWeeks,
        ComputerScans,
        leadInFrame(toNullable(ComputerScans[1])) OVER
        (
            PARTITION BY SourceComputerId ORDER BY FourWeeks
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS ScanAfter
    FROM
    (
        SELECT SourceComputerId, FourWeeks, arrayCompact(arraySort(groupArrayArray(Scans))) AS ComputerScans
        FROM update_history_rows
        WHERE NOT OfUpdate
        GROUP BY SourceComputerId, FourWeeks
    )
),
updates AS
(
    SELECT
        SourceComputerId, UpdateID, Product, ProductArch, ProductVersion,
        max(FourWeeks) AS LastFourWeeks,
        max(update_history_rows.Newest) AS Newest,
        min(FirstScan) AS FirstNeeded,
        max(LastScan) AS LastNeeded
    FROM update_history_rows
    WHERE OfUpdate
    GROUP BY SourceComputerId, UpdateID, Product, ProductArch, ProductVersion
),
ended AS
(
    SELECT
        * EXCEPT (FourWeeks, LastFourWeeks, ComputerScans, ScanAfter),
        indexOfAssumeSorted(ComputerScans, LastNeeded) AS Place,
        if(Place = length(ComputerScans), ScanAfter, ComputerScans[Place + 1]) AS NotNeededSince
    FROM updates
    INNER JOIN computers
        ON computers.SourceComputerId = updates.SourceComputerId AND computers.FourWeeks = updates.LastFourWeeks
)
SELECT
    SourceComputerId,
    Newest.Computer AS Computer,
    UpdateID, Product, ProductArch, ProductVersion,
    Newest.Title AS Title,
    Newest.KBID AS KBID,
    Newest.Classification AS Classification,
    Newest.MSRCSeverity AS MSRCSeverity,
    Newest.PackageSeverity AS PackageSeverity,
    Newest.Optional AS Optional,
    Newest.Approved AS Approved,
    multiIf(
        NotNeededSince IS NULL, 'Needed',
        has(groupArray(FirstNeeded) OVER (PARTITION BY SourceComputerId, UpdateID, Product, ProductArch),
            assumeNotNull(NotNeededSince)), 'Replaced',
        'Installed') AS State,
    ifNull(NotNeededSince, FirstNeeded) AS TimeGenerated,
    FirstNeeded,
    LastNeeded,
    NotNeededSince,
    if(State = 'Installed', NotNeededSince, NULL) AS InstalledAt,
    dateDiff('second', FirstNeeded, InstalledAt) / 86400 AS DaysToPatch,
    Newest.OSType AS OSType,
    Newest.ManagementGroupName AS ManagementGroupName,
    Newest.SourceSystem AS SourceSystem,
    Newest.ResourceId AS ResourceId,
    lower(ResourceId) AS _ResourceId,
    'UpdateHistory' AS Type
FROM ended;

-- One row a change of state of an update on a computer, those back and forth included: for questions about a
-- computer or an update, since it reads every scan of what it is asked about.
--
-- Laid over the computer's own list of scans, those that needed the update fall into runs; where four weeks end, a
-- run that goes on is put together. A run begins with a change to Needed and ends with one to Installed or
-- Replaced.
CREATE VIEW IF NOT EXISTS UpdateStateChange AS
WITH
computers AS
(
    SELECT
        SourceComputerId,
        FourWeeks,
        ComputerScans,
        lagInFrame(toNullable(ComputerScans[-1])) OVER weeks AS ScanBefore,
        leadInFrame(toNullable(ComputerScans[1])) OVER weeks AS ScanAfter
    FROM
    (
        SELECT SourceComputerId, FourWeeks, arrayCompact(arraySort(groupArrayArray(Scans))) AS ComputerScans
        FROM update_history_rows
        WHERE NOT OfUpdate
        GROUP BY SourceComputerId, FourWeeks
    )
    WINDOW weeks AS
    (
        PARTITION BY SourceComputerId ORDER BY FourWeeks
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
),
updates AS
(
    SELECT
        SourceComputerId, UpdateID, Product, ProductArch, ProductVersion, FourWeeks,
        max(update_history_rows.Newest) AS Said,
        arrayDistinct(groupArrayArray(Scans)) AS Needed
    FROM update_history_rows
    WHERE OfUpdate
    GROUP BY SourceComputerId, UpdateID, Product, ProductArch, ProductVersion, FourWeeks
),
runs AS
(
    SELECT
        SourceComputerId, UpdateID, Product, ProductArch, ProductVersion, Said,
        -- Sorted together, a time that is in both lists stands twice: the second says so, and the firsts before
        -- it are its place in the computer's list.
        arrayEnumerateUniq(arraySort(arrayConcat(ComputerScans, Needed))) AS Times,
        arrayFilter((place, time) -> time = 2, arrayCumSum(time -> time = 1, Times), Times) AS Places,
        arrayJoin(arraySplit(
            (place, begins) -> begins, Places, arrayMap(step -> step != 1, arrayDifference(Places)))) AS Run,
        ComputerScans[Run[1]] AS RunBegin,
        ComputerScans[Run[-1]] AS RunEnd,
        if(Run[1] = 1, ScanBefore, ComputerScans[Run[1] - 1]) AS PreviousScan,
        if(Run[-1] = length(ComputerScans), ScanAfter, ComputerScans[Run[-1] + 1]) AS NextScan
    FROM updates
    INNER JOIN computers USING (SourceComputerId, FourWeeks)
),
begun AS
(
    SELECT
        *,
        ifNull(PreviousScan != lagInFrame(toNullable(RunEnd)) OVER
        (
            PARTITION BY SourceComputerId, UpdateID, Product, ProductArch, ProductVersion ORDER BY RunBegin
        ), true) AS Begins
    FROM runs
),
periods AS
(
    SELECT
        SourceComputerId, UpdateID, Product, ProductArch, ProductVersion,
        max(Said) AS Newest,
        min(RunBegin) AS NeededSince,
        argMax(tuple(NextScan), RunEnd).1 AS NotNeededSince
    FROM
    (
        SELECT
            *,
            sum(Begins) OVER
            (
                PARTITION BY SourceComputerId, UpdateID, Product, ProductArch, ProductVersion ORDER BY RunBegin
            ) AS Period
        FROM begun
    )
    GROUP BY SourceComputerId, UpdateID, Product, ProductArch, ProductVersion, Period
),
ended AS
(
    SELECT
        *,
        has(groupArray(NeededSince) OVER (PARTITION BY SourceComputerId, UpdateID, Product, ProductArch),
            assumeNotNull(NotNeededSince)) AS IsReplaced
    FROM periods
)
SELECT
    SourceComputerId,
    Newest.Computer AS Computer,
    UpdateID, Product, ProductArch, ProductVersion,
    Newest.Title AS Title,
    Newest.KBID AS KBID,
    Newest.Classification AS Classification,
    arrayJoin(if(NotNeededSince IS NULL,
        [('Needed', NeededSince)],
        [('Needed', NeededSince), (if(IsReplaced, 'Replaced', 'Installed'), assumeNotNull(NotNeededSince))])) AS Change,
    Change.1 AS State,
    Change.2 AS TimeGenerated,
    Newest.OSType AS OSType,
    Newest.ManagementGroupName AS ManagementGroupName,
    Newest.SourceSystem AS SourceSystem,
    Newest.ResourceId AS ResourceId,
    lower(ResourceId) AS _ResourceId,
    'UpdateStateChange' AS Type
FROM ended;

CREATE VIEW IF NOT EXISTS UpdateSummary AS
SELECT
    * EXCEPT (SourcePartition, SourceOffset),
    OSVersion, TenantId, _TimeReceived, _IsBillable, _ResourceId, SubscriptionId, _SubscriptionId,
    ResourceGroup, ResourceProvider, ResourceType, Resource, Type
FROM update_summary_rows FINAL;

CREATE VIEW IF NOT EXISTS UpdateRunProgress AS
SELECT
    * EXCEPT (SourcePartition, SourceOffset),
    UpdateID, TenantId, _TimeReceived, _IsBillable, _ResourceId, SubscriptionId, _SubscriptionId,
    ResourceGroup, ResourceProvider, ResourceType, Resource, Type
FROM update_run_progress_rows FINAL;

CREATE VIEW IF NOT EXISTS Heartbeat AS
SELECT
    * EXCEPT (SourcePartition, SourceOffset),
    TenantId, _TimeReceived, _IsBillable, _ResourceId, SubscriptionId, _SubscriptionId,
    ResourceGroup, ResourceProvider, ResourceType, Resource, Type
FROM heartbeat_rows FINAL;

CREATE VIEW IF NOT EXISTS Event AS
SELECT
    * EXCEPT (SourcePartition, SourceOffset),
    TenantId, _TimeReceived, _IsBillable, _ResourceId, SubscriptionId, _SubscriptionId,
    ResourceGroup, ResourceProvider, ResourceType, Resource, Type
FROM event_rows FINAL;

CREATE VIEW IF NOT EXISTS OfficeActivity AS
SELECT
    * EXCEPT (OfficeTenantKey, SourcePartition, SourceOffset),
    _TimeReceived, _IsBillable, _ResourceId, _SubscriptionId, Type
FROM office_activity_rows FINAL;

CREATE VIEW IF NOT EXISTS Custom AS
SELECT
    * EXCEPT (SourcePartition, SourceOffset),
    TenantId, _TimeReceived, _IsBillable, _ResourceId, _SubscriptionId, Type
FROM custom_rows FINAL;

-- What these views have and their tables have not.
ALTER TABLE Update
    COMMENT COLUMN IF EXISTS InstallTimeAvailable 'Others have installed the same update and said how long it took: by UpdateID, KB number or package name',
    COMMENT COLUMN IF EXISTS InstallTimePredictionSeconds 'Mean time that it took them, seconds; null where none has',
    COMMENT COLUMN IF EXISTS InstallTimeDeviationRangeSeconds 'Standard deviation of that time, seconds; null where none has';

ALTER TABLE UpdateHistory
    COMMENT COLUMN IF EXISTS Computer 'Name of the computer',
    COMMENT COLUMN IF EXISTS UpdateID 'Windows: GUID of the update; empty on Linux',
    COMMENT COLUMN IF EXISTS Product 'Windows: product the update is for; Linux: package name',
    COMMENT COLUMN IF EXISTS Title 'Title of the update',
    COMMENT COLUMN IF EXISTS KBID 'Knowledge base number, digits only',
    COMMENT COLUMN IF EXISTS Classification 'Final classification, as of the last scan that found it needed',
    COMMENT COLUMN IF EXISTS MSRCSeverity 'Windows: severity as MSRC states it',
    COMMENT COLUMN IF EXISTS PackageSeverity 'Linux: severity as the vendor states it',
    COMMENT COLUMN IF EXISTS Optional 'The update is optional',
    COMMENT COLUMN IF EXISTS Approved 'The update is approved for installation',
    COMMENT COLUMN IF EXISTS State 'Needed: by the computer''s newest scan. Replaced: another version of the package came to be needed instead. Installed: no longer needed',
    COMMENT COLUMN IF EXISTS TimeGenerated 'Since when the state is so: the scan that showed it, UTC',
    COMMENT COLUMN IF EXISTS FirstNeeded 'Time of the scan that first found it needed, UTC',
    COMMENT COLUMN IF EXISTS LastNeeded 'Time of the last scan that found it needed, UTC',
    COMMENT COLUMN IF EXISTS NotNeededSince 'Time of the first scan after that, UTC; null while it is needed',
    COMMENT COLUMN IF EXISTS InstalledAt 'NotNeededSince, where it was not replaced, UTC',
    COMMENT COLUMN IF EXISTS DaysToPatch 'Days from FirstNeeded to InstalledAt; null where it was not installed',
    COMMENT COLUMN IF EXISTS OSType 'Windows or Linux',
    COMMENT COLUMN IF EXISTS ManagementGroupName 'Operations Manager group, or AOI-<workspace id> for computers that connect directly',
    COMMENT COLUMN IF EXISTS SourceSystem 'OpsManager (Windows) or Linux',
    COMMENT COLUMN IF EXISTS ResourceId 'Azure resource id of the computer, empty elsewhere',
    COMMENT COLUMN IF EXISTS _ResourceId 'ResourceId in lower case',
    COMMENT COLUMN IF EXISTS Type 'Name of the table';

ALTER TABLE UpdateStateChange
    COMMENT COLUMN IF EXISTS SourceComputerId 'Identifies the computer',
    COMMENT COLUMN IF EXISTS Computer 'Name of the computer',
    COMMENT COLUMN IF EXISTS UpdateID 'Windows: GUID of the update; empty on Linux',
    COMMENT COLUMN IF EXISTS Product 'Windows: product the update is for; Linux: package name',
    COMMENT COLUMN IF EXISTS ProductArch 'Linux: package architecture',
    COMMENT COLUMN IF EXISTS ProductVersion 'Linux: package version with epoch; Windows: product version',
    COMMENT COLUMN IF EXISTS Title 'Title of the update',
    COMMENT COLUMN IF EXISTS KBID 'Knowledge base number, digits only',
    COMMENT COLUMN IF EXISTS Classification 'Final classification, as of the last scan of the period that found it needed',
    COMMENT COLUMN IF EXISTS Change 'State and TimeGenerated in one',
    COMMENT COLUMN IF EXISTS State 'What the scan changed it to: Needed; Replaced, when another version of the package is needed instead; Installed, when it is no longer needed',
    COMMENT COLUMN IF EXISTS TimeGenerated 'Time of the scan that showed the change, UTC',
    COMMENT COLUMN IF EXISTS OSType 'Windows or Linux',
    COMMENT COLUMN IF EXISTS ManagementGroupName 'Operations Manager group, or AOI-<workspace id> for computers that connect directly',
    COMMENT COLUMN IF EXISTS SourceSystem 'OpsManager (Windows) or Linux',
    COMMENT COLUMN IF EXISTS ResourceId 'Azure resource id of the computer, empty elsewhere',
    COMMENT COLUMN IF EXISTS _ResourceId 'ResourceId in lower case',
    COMMENT COLUMN IF EXISTS Type 'Name of the table';
