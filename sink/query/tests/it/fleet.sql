-- A small fleet in the storage tables, for the sample queries: everything follows from the numbers of rows. Times lie
-- some minutes off the full hours before now, so that no sample's window begins among them.

INSERT INTO update_rows
(
    SourceComputerId, UpdateID, Product, ProductArch, ProductVersion, Computer, TimeGenerated, TimeReceived, UpdateState,
    Title, KBID, Classification, MSRCSeverity, BulletinID, BulletinUrl, PackageSeverity, PublishedDate, Optional, Approved,
    OSType, OSName, OSVersion, ComputerEnvironment, ResourceId, VMUUID, ReportId, ScanVersion
)
WITH
    intDiv(number, 24) AS c,
    number % 24 AS u,
    c % 2 = 0 AS linux,
    [0, 1, 2, 3, 4, 13, 20][c % 7 + 1] AS age,
    if(linux, ['Security Updates', 'Critical Updates', 'Other Updates'][intDiv(u, 2) % 3 + 1],
        ['Security Updates', 'Critical Updates', 'Update Rollups', 'Updates'][u % 4 + 1]) AS class,
    -- Some computers need nothing grave, nothing critical, or nothing at all.
    multiIf(c IN (8, 9), false, c IN (14, 23), class NOT IN ('Security Updates', 'Critical Updates'), c IN (17, 18), class = 'Security Updates', true) AS open
SELECT
    concat('computer-', toString(c)),
    if(linux, '', concat('update-', toString(u))),
    if(linux, concat('package-', toString(intDiv(u, 2))), 'Windows Server 2016'),
    if(linux, if(c % 4 = 0, 'amd64', 'x86_64'), ''),
    if(linux, concat('0:1.', toString(u)), ''),
    ['ContosoVM1.contoso.com', 'Computer01.contoso.com', concat('pc-', toString(c), '.contoso.com'), 'Enter your computer name here'][least(c, 2) + 1 + (c = 5)],
    now64(3, 'UTC') - toIntervalHour(age) - toIntervalMinute(17) AS Time,
    Time + toIntervalSecond(5),
    multiIf(linux, if(open AND u % 2 = 0, 'Needed', 'Not needed'), open AND u % 3 != 0, 'Needed', 'Installed'),
    concat('Update ', toString(u)),
    if(linux, '', toString(4000000 + u)),
    class,
    if(linux, '', ['Critical', 'Important', 'Moderate'][u % 3 + 1]),
    if(linux AND u % 4 = 0, concat('USN-', toString(u)), ''),
    if(linux AND u % 4 = 0, concat('https://example.com/', toString(u), ';https://example.com/other'), ''),
    if(linux, 'Important', ''),
    if(u % 5 = 0, NULL, toDateTime64('2026-01-01 00:00:00', 3, 'UTC') - toIntervalDay(u)),
    NOT linux AND u % 5 = 0,
    linux OR u % 7 != 0,
    if(linux, 'Linux', 'Windows'),
    multiIf(NOT linux, 'Windows Server 2016', c % 4 = 0, 'Ubuntu', 'CentOS'),
    '16.04',
    if(c % 3 = 0, 'Azure', 'Non-Azure'),
    if(c % 3 = 0, concat('/subscriptions/s/resourceGroups/G/providers/Microsoft.Compute/virtualMachines/VM', toString(c)), ''),
    multiIf(c = 3, 'B08D5AFA-1471-4B52-BD95-A44FEA6E4CA8', c = 4, 'A0865662-086D-1048-AAE9-A089E68D4911', concat('vm-', toString(c))),
    toUUID('00000000-0000-4000-8000-000000000001'),
    1
FROM numbers(24 * 24);

INSERT INTO computer_scans (SourceComputerId, ScanVersion)
SELECT concat('computer-', toString(number)), 1 FROM numbers(24);

INSERT INTO update_summary_rows
(
    SourceComputerId, TimeGenerated, ReportId, Computer, TimeReceived, OSType, CriticalUpdatesMissing,
    SecurityUpdatesMissing, OtherUpdatesMissing, TotalUpdatesMissing, WindowsUpdateSetting, WSUSServer, ResourceId
)
SELECT
    SourceComputerId, TimeGenerated - toIntervalHour(12 * scan) AS Time, toUUID('00000000-0000-4000-8000-000000000002'),
    Computer, Time, OSType,
    countIf(UpdateState = 'Needed' AND Classification = 'Critical Updates') AS critical,
    countIf(UpdateState = 'Needed' AND Classification = 'Security Updates') AS security,
    countIf(UpdateState = 'Needed') - critical - security, countIf(UpdateState = 'Needed'),
    if(OSType = 'Linux', '', ['Disabled', 'Notify before installation', 'Scheduled installation'][cityHash64(SourceComputerId) % 3 + 1]),
    if(OSType = 'Linux', '', ['', 'http://wsus:8530'][cityHash64(SourceComputerId) % 2 + 1]),
    ResourceId
FROM update_rows ARRAY JOIN [0, 1] AS scan
GROUP BY SourceComputerId, TimeGenerated, scan, Computer, OSType, ResourceId;

-- A heartbeat every ten minutes for thirty hours; some computers have stopped.
INSERT INTO heartbeat_rows
(
    SourceComputerId, TimeGenerated, ReportId, Computer, TimeReceived, OSType, ComputerIP, ComputerPrivateIPs, Solutions,
    ComputerEnvironment, ResourceId, VMUUID, Version
)
WITH
    number % 26 AS c,
    intDiv(number, 26) AS n,
    [0, 7, 310, 900][if(c % 5 = 0, c % 4, 0) + 1] AS stopped
SELECT
    concat('computer-', toString(c)),
    now64(3, 'UTC') - toIntervalMinute(stopped + 3 + 10 * n) - toIntervalSecond(c) AS Time,
    reinterpretAsUUID(unhex(hex(sipHash128(number)))),
    ['ContosoVM1.contoso.com', 'Computer01.contoso.com', concat('pc-', toString(c), '.contoso.com'), 'Enter your computer name here'][least(c, 2) + 1 + (c = 5)],
    Time + toIntervalSecond(if(n < 6, 40, 2)),
    if(c % 2 = 0, 'Linux', 'Windows'),
    concat('10.0.0.', toString(c)),
    [concat('192.168.0.', toString(c))],
    if(c % 6 = 4, 'security', 'security,updates'),
    if(c % 3 = 0, 'Azure', 'Non-Azure'),
    concat('/subscriptions/s/resourceGroups/G/providers/Microsoft.Compute/virtualMachines/VM', toString(c)),
    concat('vm-', toString(c)),
    if(c = 7, '<SearchValue>', '1.6')
FROM numbers(26 * 180);

INSERT INTO update_run_progress_rows
(
    SourceComputerId, TimeGenerated, ReportId, Computer, TimeReceived, UpdateRunName, UpdateId, Title, Product,
    InstallationStatus, OSType, ResourceId
)
WITH intDiv(number, 10) AS c, number % 10 AS u
SELECT
    concat('computer-', toString(c)), now64(3, 'UTC') - toIntervalMinute(31 + 60 * step) AS Time,
    reinterpretAsUUID(unhex(hex(sipHash128(number, step)))), concat('pc-', toString(c), '.contoso.com'), Time,
    ['DeploymentName', 'July', 'August'][c % 3 + 1], concat('update-', toString(u)), concat('Update ', toString(u)),
    concat('package-', toString(u)),
    if(step = 1, 'NotStarted', ['Succeeded', 'Failed', 'FailedToStart', 'InstallFailed', 'MaintenanceWindowExceeded'][u % 5 + 1]),
    if(c % 2 = 0, 'Linux', 'Windows'), ''
FROM numbers(120) ARRAY JOIN [0, 1] AS step;

INSERT INTO event_rows
(
    SourceComputerId, TimeGenerated, ReportId, Computer, TimeReceived, OSType, EventLog, Source, EventID, EventLevelName,
    RenderedDescription, ResourceId
)
WITH number % 24 AS c
SELECT
    concat('computer-', toString(c)), now64(3, 'UTC') - toIntervalMinute(13) - toIntervalMinute(number * 7) AS Time,
    reinterpretAsUUID(unhex(hex(sipHash128(number)))),
    ['ContosoVM1.contoso.com', 'Computer01.contoso.com', concat('pc-', toString(c), '.contoso.com'), 'Enter your computer name here'][least(c, 2) + 1 + (c = 5)],
    Time + toIntervalMillisecond(1500), 'Windows',
    ['System', 'Operations Manager', 'Microsoft-Windows-Windows Firewall With Advanced Security/Firewall'][number % 3 + 1],
    ['WindowsUpdateClient', 'HealthService'][number % 2 + 1],
    [44, 2500, 2008, 7][number % 4 + 1], ['Error', 'error', 'Warning', 'warning', 'Information'][number % 5 + 1],
    if(number % 3 = 0, 'The service was started.', 'Nothing happened.'), ''
FROM numbers(200);

-- What clusters say of themselves: XML in EventData, JSON in RenderedDescription.
INSERT INTO event_rows
(
    SourceComputerId, TimeGenerated, ReportId, Computer, TimeReceived, OSType, EventLog, Source, EventID, EventLevelName,
    EventData, RenderedDescription
)
WITH number % 2 AS cluster, [3000, 3002, 3003][intDiv(number, 2) % 3 + 1] AS event
SELECT
    'node-1', now64(3, 'UTC') - toIntervalMinute(number + 5) AS Time, reinterpretAsUUID(unhex(hex(sipHash128(number, 'cluster')))),
    'node-1.contoso.com', Time, 'Windows', 'Microsoft-Windows-SDDC-Management/Operational', 'SDDC', event, 'Information',
    concat(
        '<DataItem type="System.XmlData" time="2026-01-15T00:00:00.0Z"><UserData><EventData xmlns="urn:x"><ClusterName>Cluster ',
        toString(cluster), '</ClusterName><ArmId>', if(cluster = 0, 'Enter Cluster ID', 'cluster-2'), '</ArmId></EventData></UserData></DataItem>'),
    multiIf(
        event = 3000, '{"m_servers":[{"m_name":"node-1","m_totalPhysicalMemoryInBytes":137438953472,"m_usedPhysicalMemoryInBytes":34359738368,"m_totalProcessorsUsedPercentage":12},{"m_name":"node-2","m_totalPhysicalMemoryInBytes":0,"m_usedPhysicalMemoryInBytes":0,"m_totalProcessorsUsedPercentage":7}]}',
        event = 3002, '{"VolumeList":[{"m_Label":"Volume 1","m_Size":1000,"m_SizeUsed":400,"m_AverageLatency":0.25,"m_TotalIops":12.5,"m_TotalThroughput":1e6},{"m_Label":"Volume 2","m_Size":500,"m_SizeUsed":1,"m_AverageLatency":-1,"m_TotalIops":-1,"m_TotalThroughput":-1}]}',
        '{"m_totalVms":9,"m_totalVmsRunning":6,"m_totalVmsStopped":2,"m_totalVmsFailed":1}')
FROM numbers(12);

INSERT INTO event_rows
(
    SourceComputerId, TimeGenerated, ReportId, Computer, TimeReceived, OSType, EventLog, EventID, RenderedDescription
)
SELECT
    'node-1', now64(3, 'UTC') - toIntervalMinute(number + 5) AS Time, reinterpretAsUUID(unhex(hex(sipHash128(number, 'health')))),
    'node-1.contoso.com', Time, 'Windows', 'Microsoft-Windows-Health/Operational', 1,
    concat(
        '{"CorrelationId":"', if(number < 4, 'now', 'before'), '","ArmId":"cluster-1","IsLastMessage":', if(number % 4 = 0, 'true', 'false'),
        ',"Fault":{"RootObjectType":"Microsoft.Health.EntityType.Cluster","Type":"Microsoft.Health.FaultType.Server.',
        if(number % 2 = 0, 'Down', 'Up'), '","Severity":', toString(number), ',"ObjectType":"Microsoft.Health.EntityType.Server","ObjectId":"node-',
        toString(number), '","Timestamp":134128224000000000,"Description":"node \\"', toString(number), '\\" is down","Remediation":"Start it."}}')
FROM numbers(8);

INSERT INTO office_activity_rows
(
    OfficeTenantKey, TimeGenerated, ReportId, TimeReceived, TenantId, UserId, Operation, OfficeWorkload, RecordType, ResultStatus,
    OfficeObjectId, SourceFileName, ClientIP, Parameters
)
WITH number % 3 AS user
SELECT
    'tenant', now64(3, 'UTC') - toIntervalMinute(number * 11 + 4) AS Time, reinterpretAsUUID(unhex(hex(sipHash128(number)))), Time,
    'tenant', ['osotnoc@contoso.com', 'a@contoso.com', 'b@contoso.com'][user + 1],
    ['FileDownloaded', 'FileAccessed', 'FileUploaded', 'New-TransportRule', 'set-transportrule', 'UserLoggedIn'][number % 6 + 1],
    ['OneDrive', 'SharePoint', 'SharePoint', 'Exchange', 'Exchange', 'AzureActiveDirectory'][number % 6 + 1],
    ['SharePointFileOperation', 'sharepointfileoperation', 'ExchangeAdmin'][number % 3 + 1], 'Succeeded',
    concat('https://contoso/', toString(number % 7), ['.exe.txt', '.docx', '.exe.toolong', '.EXE.pdf'][number % 4 + 1]),
    if(number % 5 = 0, '', 'file'), '10.0.0.1', '[{"Name":"From","Value":"x"},{"Name":"Name","Value":"Rule \\"1\\""}]'
FROM numbers(60);
