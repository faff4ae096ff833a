//! The tables as the sink writes them: one block a table, its columns named and typed as in
//! `migrations/`. An integration test holds them against the database.

use crate::block;

block! {
    /// `update_rows`
    UpdateRows {
        source_computer_id: Dictionary = "SourceComputerId",
        update_id: Text = "UpdateID",
        product: Text = "Product",
        product_arch: Dictionary = "ProductArch",
        product_version: Text = "ProductVersion",
        computer: Dictionary = "Computer",
        time_generated: DateTime = "TimeGenerated",
        time_received: DateTime = "TimeReceived",
        update_state: Dictionary = "UpdateState",
        title: Text = "Title",
        kbid: Dictionary = "KBID",
        classification: Dictionary = "Classification",
        classification_source: Dictionary = "ClassificationSource",
        agent_classification: Dictionary = "AgentClassification",
        advisory_ids: Dictionary = "AdvisoryIDs",
        catalog_version: Dictionary = "CatalogVersion",
        msrc_severity: Dictionary = "MSRCSeverity",
        msrc_bulletin_id: Dictionary = "MSRCBulletinID",
        bulletin_id: Dictionary = "BulletinID",
        bulletin_url: Dictionary = "BulletinUrl",
        cve_numbers: Dictionary = "CVENumbers",
        package_severity: Dictionary = "PackageSeverity",
        published_date: NullableDateTime = "PublishedDate",
        reboot_behavior: Dictionary = "RebootBehavior",
        revision_number: Dictionary = "RevisionNumber",
        package_repository: Dictionary = "PackageRepository",
        optional: Flag = "Optional",
        approved: Flag = "Approved",
        approval_source: Dictionary = "ApprovalSource",
        os_type: Dictionary = "OSType",
        os_name: Dictionary = "OSName",
        os_version: Dictionary = "OSVersion",
        os_full_name: Dictionary = "OSFullName",
        management_group_name: Dictionary = "ManagementGroupName",
        source_system: Dictionary = "SourceSystem",
        computer_environment: Dictionary = "ComputerEnvironment",
        resource_id: Dictionary = "ResourceId",
        vmuuid: Dictionary = "VMUUID",
        report_id: UuidColumn = "ReportId",
        scan_version: UInt128 = "ScanVersion",
        source_partition: Int32 = "SourcePartition",
        source_offset: Int64 = "SourceOffset",
    }
}

block! {
    /// `computer_scans`
    ComputerScans {
        source_computer_id: Text = "SourceComputerId",
        scan_version: UInt128 = "ScanVersion",
        source_partition: Int32 = "SourcePartition",
        source_offset: Int64 = "SourceOffset",
    }
}

block! {
    /// `update_summary_rows`
    UpdateSummaryRows {
        source_computer_id: Text = "SourceComputerId",
        time_generated: DateTime = "TimeGenerated",
        report_id: UuidColumn = "ReportId",
        computer: Text = "Computer",
        time_received: DateTime = "TimeReceived",
        os_type: Dictionary = "OSType",
        os_version: Dictionary = "OsVersion",
        critical_updates_missing: Int32 = "CriticalUpdatesMissing",
        security_updates_missing: Int32 = "SecurityUpdatesMissing",
        other_updates_missing: Int32 = "OtherUpdatesMissing",
        total_updates_missing: Int32 = "TotalUpdatesMissing",
        oldest_missing_security_update_in_days: NullableInt32 = "OldestMissingSecurityUpdateInDays",
        oldest_missing_security_update_bucket: Dictionary = "OldestMissingSecurityUpdateBucket",
        restart_pending: Flag = "RestartPending",
        net_runtime_version: Dictionary = "NETRuntimeVersion",
        windows_update_agent_version: Dictionary = "WindowsUpdateAgentVersion",
        windows_update_setting: Dictionary = "WindowsUpdateSetting",
        wsus_server: Dictionary = "WSUSServer",
        management_group_name: Dictionary = "ManagementGroupName",
        source_system: Dictionary = "SourceSystem",
        computer_environment: Dictionary = "ComputerEnvironment",
        resource_id: Text = "ResourceId",
        vmuuid: Text = "VMUUID",
        catalog_version: Dictionary = "CatalogVersion",
        source_partition: Int32 = "SourcePartition",
        source_offset: Int64 = "SourceOffset",
    }
}

block! {
    /// `update_run_progress_rows`
    UpdateRunProgressRows {
        source_computer_id: Text = "SourceComputerId",
        time_generated: DateTime = "TimeGenerated",
        report_id: UuidColumn = "ReportId",
        computer: Text = "Computer",
        time_received: DateTime = "TimeReceived",
        update_run_name: Dictionary = "UpdateRunName",
        correlation_id: Text = "CorrelationId",
        update_id: Text = "UpdateId",
        title: Text = "Title",
        product: Dictionary = "Product",
        kbid: Dictionary = "KBID",
        installation_status: Dictionary = "InstallationStatus",
        start_time: NullableDateTime = "StartTime",
        end_time: NullableDateTime = "EndTime",
        error_result: Text = "ErrorResult",
        succeeded_on_retry: Flag = "SucceededOnRetry",
        os_type: Dictionary = "OSType",
        management_group_name: Dictionary = "ManagementGroupName",
        source_system: Dictionary = "SourceSystem",
        computer_environment: Dictionary = "ComputerEnvironment",
        resource_id: Text = "ResourceId",
        vmuuid: Text = "VMUUID",
        source_partition: Int32 = "SourcePartition",
        source_offset: Int64 = "SourceOffset",
    }
}

block! {
    /// `heartbeat_rows`
    HeartbeatRows {
        source_computer_id: Text = "SourceComputerId",
        time_generated: DateTime = "TimeGenerated",
        report_id: UuidColumn = "ReportId",
        computer: Text = "Computer",
        time_received: DateTime = "TimeReceived",
        os_type: Dictionary = "OSType",
        os_name: Dictionary = "OSName",
        os_major_version: Dictionary = "OSMajorVersion",
        os_minor_version: Dictionary = "OSMinorVersion",
        category: Dictionary = "Category",
        sc_agent_channel: Dictionary = "SCAgentChannel",
        version: Dictionary = "Version",
        computer_ip: Text = "ComputerIP",
        computer_private_ips: TextArray = "ComputerPrivateIPs",
        is_gateway_installed: Flag = "IsGatewayInstalled",
        solutions: Dictionary = "Solutions",
        management_group_name: Dictionary = "ManagementGroupName",
        source_system: Dictionary = "SourceSystem",
        computer_environment: Dictionary = "ComputerEnvironment",
        resource_id: Text = "ResourceId",
        vmuuid: Text = "VMUUID",
        source_partition: Int32 = "SourcePartition",
        source_offset: Int64 = "SourceOffset",
    }
}

/// Every table that the sink writes, with the columns that it writes there.
pub const TABLES: &[(&str, &[(&str, &str)])] = &[
    ("update_rows", UpdateRows::COLUMNS),
    ("computer_scans", ComputerScans::COLUMNS),
    ("update_summary_rows", UpdateSummaryRows::COLUMNS),
    ("update_run_progress_rows", UpdateRunProgressRows::COLUMNS),
    ("heartbeat_rows", HeartbeatRows::COLUMNS),
];
