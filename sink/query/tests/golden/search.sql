-- Type=Update
SELECT *
FROM `Update` AS t;

-- Type:Update OSType!=Linux UpdateState=needed Optional=false Approved!=false | measure count() by Computer
SELECT *
FROM (
    SELECT t.`Computer`, count() AS `AggregatedValue`
    FROM `Update` AS t
    WHERE ((lower(t.`OSType`) != 'linux') AND (lower(t.`UpdateState`) = 'needed') AND (t.`Optional` = false) AND (t.`Approved` != false))
    GROUP BY t.`Computer`
) AS t
ORDER BY t.`AggregatedValue` DESC;

-- type=update UPDATESTATE="Not needed" | select computer,Title as Name
SELECT t.`Computer`, t.`Title` AS `Name`
FROM `Update` AS t
WHERE (lower(t.`UpdateState`) = 'not needed');

-- Type=Update (Classification="Security Updates" OR Classification="Critical Updates") NOT KBID=4012212
SELECT *
FROM `Update` AS t
WHERE (((lower(t.`Classification`) = 'security updates') OR (lower(t.`Classification`) = 'critical updates')) AND (NOT (lower(t.`KBID`) = '4012212')));

-- Type=Update and OSType=Linux and OSName = Ubuntu &| measure count() by Computer
SELECT *
FROM (
    SELECT t.`Computer`, count() AS `AggregatedValue`
    FROM `Update` AS t
    WHERE ((lower(t.`OSType`) = 'linux') AND (lower(t.`OSName`) = 'ubuntu'))
    GROUP BY t.`Computer`
) AS t
ORDER BY t.`AggregatedValue` DESC;

-- Type=Update (Classification="Security Updates" OR Classification="Critical Updates"
-- note: the parenthesis of column 13 is never closed: it is taken to end with the filter
SELECT *
FROM `Update` AS t
WHERE ((lower(t.`Classification`) = 'security updates') OR (lower(t.`Classification`) = 'critical updates'));

-- Type=Event EventLevelName=error Computer IN {Type=Update Optional=false &#124; Distinct Computer}
SELECT *
FROM `Event` AS t
WHERE ((lower(t.`EventLevelName`) = 'error') AND (lowerUTF8(t.`Computer`) IN (
    SELECT lowerUTF8(t.`Computer`) AS `Computer`
    FROM (
        SELECT DISTINCT t.`Computer`
        FROM `Update` AS t
        WHERE (t.`Optional` = false)
    ) AS t
)));

-- Type=Event Computer NOT IN {Type=Heartbeat | Distinct Computer} EventID>=3000 EventID<4000
SELECT *
FROM `Event` AS t
WHERE ((NOT (lowerUTF8(t.`Computer`) IN (
    SELECT lowerUTF8(t.`Computer`) AS `Computer`
    FROM (
        SELECT DISTINCT t.`Computer`
        FROM `Heartbeat` AS t
    ) AS t
))) AND (t.`EventID` >= 3000) AND (t.`EventID` < 4000));

-- Type=UpdateSummary WindowsUpdateSetting=Manual
-- note: WindowsUpdateSetting `Manual` is taken for `Disabled`, `Notify before installation` as well
SELECT *
FROM `UpdateSummary` AS t
WHERE (lower(t.`WindowsUpdateSetting`) IN ('manual', 'disabled', 'notify before installation'));

-- Type:UpdateRunProgress InstallationStatus=failed | measure Count() by Computer, Title
-- note: no record has InstallationStatus `failed`: it is taken for `Failed`, `FailedToStart`, `InstallFailed`
SELECT *
FROM (
    SELECT t.`Computer`, t.`Title`, count() AS `AggregatedValue`
    FROM `UpdateRunProgress` AS t
    WHERE (lower(t.`InstallationStatus`) IN ('failed', 'failedtostart', 'installfailed'))
    GROUP BY t.`Computer`, t.`Title`
) AS t
ORDER BY t.`AggregatedValue` DESC;

-- Type=Heartbeat OSType=Windows | top 500000 | dedup SourceComputerId | Sort Computer | display Table
SELECT t.`TimeGenerated`, t.`SourceComputerId`, t.`Computer`, t.`OSType`, t.`ComputerIP`, t.`ComputerPrivateIPs`, t.`Solutions`, t.`RemoteIPLatitude`, t.`_TimeReceived`, t.`Type`
FROM (
    SELECT t.`TimeGenerated`, t.`SourceComputerId`, t.`Computer`, t.`OSType`, t.`ComputerIP`, t.`ComputerPrivateIPs`, t.`Solutions`, t.`RemoteIPLatitude`, t.`_TimeReceived`, t.`Type`, t.`order:0`
    FROM (
        SELECT *, t.`TimeGenerated` AS `order:0`
        FROM `Heartbeat` AS t
        WHERE (lower(t.`OSType`) = 'windows')
        ORDER BY t.`TimeGenerated` DESC
        LIMIT 500000
    ) AS t
    ORDER BY t.`order:0` DESC
    LIMIT 1 BY t.`SourceComputerId`
) AS t
ORDER BY t.`Computer` ASC;

-- Type=Heartbeat TimeGenerated>NOW-1DAY TimeGenerated:[NOW/DAY-2DAYS..NOW] Computer=web-*.contoso.com Solutions=* Computer=RegEx("web-[0-9]+")
SELECT *
FROM `Heartbeat` AS t
WHERE ((t.`TimeGenerated` > toDateTime64('2026-01-14 12:00:00', 3, 'UTC')) AND ((t.`TimeGenerated` >= (toStartOfInterval(toDateTime64('2026-01-15 12:00:00', 3, 'UTC'), toIntervalDay(1), 'UTC') - toIntervalDay(2))) AND (t.`TimeGenerated` <= toDateTime64('2026-01-15 12:00:00', 3, 'UTC'))) AND match(t.`Computer`, '(?is)^web\\-.*\\.contoso\\.com$') AND (t.`Solutions` != '') AND match(t.`Computer`, '(?i)web-[0-9]+'));

-- Type=Event | measure max(EventID) as Highest, count() by Computer interval 1HOUR | where Highest>10 | sort Highest desc, Computer | limit 5
SELECT *
FROM (
    SELECT t.`Computer`, toStartOfInterval(t.`TimeGenerated`, toIntervalHour(1), 'UTC') AS `TimeGenerated`, max(t.`EventID`) AS `Highest`, count() AS `AggregatedValue2`
    FROM `Event` AS t
    GROUP BY t.`Computer`, toStartOfInterval(t.`TimeGenerated`, toIntervalHour(1), 'UTC')
) AS t
WHERE (t.`Highest` > 10)
ORDER BY t.`Highest` DESC, t.`Computer` ASC
LIMIT 5;

-- (Type=Update OR Type=Event) kb4012212 "access denied" | distinct Computer
SELECT DISTINCT t.`Computer`
FROM (
    SELECT t.`TimeGenerated`, t.`SourceComputerId`, t.`Computer`, t.`OSType`, t.`OSName`, t.`UpdateID`, t.`Title`, t.`KBID`, t.`Product`, t.`ProductArch`, t.`Classification`, t.`UpdateState`, CAST(t.`Optional`, 'Bool') AS `Optional`, CAST(t.`Approved`, 'Bool') AS `Approved`, t.`PublishedDate`, t.`UpdateSeverity`, t.`BulletinUrl`, t.`ReportId`, t.`Type`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `_TimeReceived`
    FROM `Update` AS t
    UNION ALL
    SELECT t.`TimeGenerated`, '' AS `SourceComputerId`, t.`Computer`, '' AS `OSType`, '' AS `OSName`, '' AS `UpdateID`, '' AS `Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, t.`Type`, toInt64(t.`EventID`) AS `EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`
    FROM `Event` AS t
) AS t
WHERE ((match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`SourceComputerId`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`OSType`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`OSName`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`UpdateID`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`KBID`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`Product`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`ProductArch`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`Classification`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`UpdateState`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(if(isNull(t.`Optional`), '', if(t.`Optional`, 'true', 'false')), '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(if(isNull(t.`Approved`), '', if(t.`Approved`, 'true', 'false')), '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`PublishedDate`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`UpdateSeverity`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`BulletinUrl`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(ifNull(toString(t.`ReportId`), ''), '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(ifNull(toString(t.`EventID`), ''), '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`EventLog`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`EventLevelName`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`EventData`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(t.`RenderedDescription`, '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`_TimeReceived`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])kb4012212(?:$|[^\\pL\\pN])')) AND (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`SourceComputerId`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`OSType`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`OSName`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`UpdateID`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`KBID`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Product`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`ProductArch`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Classification`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`UpdateState`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(if(isNull(t.`Optional`), '', if(t.`Optional`, 'true', 'false')), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(if(isNull(t.`Approved`), '', if(t.`Approved`, 'true', 'false')), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`PublishedDate`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`UpdateSeverity`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`BulletinUrl`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(ifNull(toString(t.`ReportId`), ''), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(ifNull(toString(t.`EventID`), ''), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`EventLog`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`EventLevelName`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`EventData`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`RenderedDescription`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`_TimeReceived`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])')));

-- error | measure count() by Type
SELECT *
FROM (
    SELECT t.`Type`, count() AS `AggregatedValue`
    FROM (
        SELECT 'Custom' AS `$table`, t.`TimeGenerated`, t.`LogType`, toJSONString(t.`Record`) AS `Record`, t.`Type`, '' AS `Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `_TimeReceived`, '' AS `SourceComputerId`, '' AS `OSType`, '' AS `ComputerIP`, CAST([], 'Array(String)') AS `ComputerPrivateIPs`, '' AS `Solutions`, CAST(NULL, 'Nullable(Float64)') AS `RemoteIPLatitude`, '' AS `OSName`, '' AS `UpdateID`, '' AS `Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, '' AS `UpdateRunName`, '' AS `UpdateId`, '' AS `InstallationStatus`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `StartTime`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `EndTime`, '' AS `WindowsUpdateSetting`, CAST(NULL, 'Nullable(Int64)') AS `TotalUpdatesMissing`, CAST(NULL, 'Nullable(Int64)') AS `OldestMissingSecurityUpdateInDays`
        FROM `Custom` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`LogType`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(toJSONString(t.`Record`), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])'))
        UNION ALL
        SELECT 'Event' AS `$table`, t.`TimeGenerated`, '' AS `LogType`, '' AS `Record`, t.`Type`, t.`Computer`, toInt64(t.`EventID`) AS `EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, '' AS `SourceComputerId`, '' AS `OSType`, '' AS `ComputerIP`, CAST([], 'Array(String)') AS `ComputerPrivateIPs`, '' AS `Solutions`, CAST(NULL, 'Nullable(Float64)') AS `RemoteIPLatitude`, '' AS `OSName`, '' AS `UpdateID`, '' AS `Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, '' AS `UpdateRunName`, '' AS `UpdateId`, '' AS `InstallationStatus`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `StartTime`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `EndTime`, '' AS `WindowsUpdateSetting`, CAST(NULL, 'Nullable(Int64)') AS `TotalUpdatesMissing`, CAST(NULL, 'Nullable(Int64)') AS `OldestMissingSecurityUpdateInDays`
        FROM `Event` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(toString(t.`EventID`), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`EventLog`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`EventLevelName`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`EventData`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`RenderedDescription`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(concat(formatDateTime(toDateTime64(t.`_TimeReceived`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])'))
        UNION ALL
        SELECT 'Heartbeat' AS `$table`, t.`TimeGenerated`, '' AS `LogType`, '' AS `Record`, t.`Type`, t.`Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, t.`_TimeReceived`, t.`SourceComputerId`, t.`OSType`, t.`ComputerIP`, t.`ComputerPrivateIPs`, t.`Solutions`, toFloat64(t.`RemoteIPLatitude`) AS `RemoteIPLatitude`, '' AS `OSName`, '' AS `UpdateID`, '' AS `Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, '' AS `UpdateRunName`, '' AS `UpdateId`, '' AS `InstallationStatus`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `StartTime`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `EndTime`, '' AS `WindowsUpdateSetting`, CAST(NULL, 'Nullable(Int64)') AS `TotalUpdatesMissing`, CAST(NULL, 'Nullable(Int64)') AS `OldestMissingSecurityUpdateInDays`
        FROM `Heartbeat` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`SourceComputerId`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`OSType`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`ComputerIP`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(toJSONString(t.`ComputerPrivateIPs`), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Solutions`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(ifNull(toString(t.`RemoteIPLatitude`), ''), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(concat(formatDateTime(toDateTime64(t.`_TimeReceived`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])'))
        UNION ALL
        SELECT 'Update' AS `$table`, t.`TimeGenerated`, '' AS `LogType`, '' AS `Record`, t.`Type`, t.`Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `_TimeReceived`, t.`SourceComputerId`, t.`OSType`, '' AS `ComputerIP`, CAST([], 'Array(String)') AS `ComputerPrivateIPs`, '' AS `Solutions`, CAST(NULL, 'Nullable(Float64)') AS `RemoteIPLatitude`, t.`OSName`, t.`UpdateID`, t.`Title`, t.`KBID`, t.`Product`, t.`ProductArch`, t.`Classification`, t.`UpdateState`, CAST(t.`Optional`, 'Bool') AS `Optional`, CAST(t.`Approved`, 'Bool') AS `Approved`, t.`PublishedDate`, t.`UpdateSeverity`, t.`BulletinUrl`, t.`ReportId`, '' AS `UpdateRunName`, '' AS `UpdateId`, '' AS `InstallationStatus`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `StartTime`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `EndTime`, '' AS `WindowsUpdateSetting`, CAST(NULL, 'Nullable(Int64)') AS `TotalUpdatesMissing`, CAST(NULL, 'Nullable(Int64)') AS `OldestMissingSecurityUpdateInDays`
        FROM `Update` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`SourceComputerId`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`OSType`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`OSName`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`UpdateID`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`KBID`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Product`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`ProductArch`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Classification`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`UpdateState`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(if(t.`Optional`, 'true', 'false'), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(if(t.`Approved`, 'true', 'false'), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`PublishedDate`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`UpdateSeverity`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`BulletinUrl`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(toString(t.`ReportId`), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])'))
        UNION ALL
        SELECT 'UpdateRunProgress' AS `$table`, t.`TimeGenerated`, '' AS `LogType`, '' AS `Record`, t.`Type`, t.`Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `_TimeReceived`, '' AS `SourceComputerId`, '' AS `OSType`, '' AS `ComputerIP`, CAST([], 'Array(String)') AS `ComputerPrivateIPs`, '' AS `Solutions`, CAST(NULL, 'Nullable(Float64)') AS `RemoteIPLatitude`, '' AS `OSName`, '' AS `UpdateID`, t.`Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, t.`UpdateRunName`, t.`UpdateId`, t.`InstallationStatus`, t.`StartTime`, t.`EndTime`, '' AS `WindowsUpdateSetting`, CAST(NULL, 'Nullable(Int64)') AS `TotalUpdatesMissing`, CAST(NULL, 'Nullable(Int64)') AS `OldestMissingSecurityUpdateInDays`
        FROM `UpdateRunProgress` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`UpdateRunName`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`UpdateId`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`InstallationStatus`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`StartTime`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`EndTime`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])'))
        UNION ALL
        SELECT 'UpdateSummary' AS `$table`, t.`TimeGenerated`, '' AS `LogType`, '' AS `Record`, t.`Type`, t.`Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `_TimeReceived`, '' AS `SourceComputerId`, '' AS `OSType`, '' AS `ComputerIP`, CAST([], 'Array(String)') AS `ComputerPrivateIPs`, '' AS `Solutions`, CAST(NULL, 'Nullable(Float64)') AS `RemoteIPLatitude`, '' AS `OSName`, '' AS `UpdateID`, '' AS `Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, '' AS `UpdateRunName`, '' AS `UpdateId`, '' AS `InstallationStatus`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `StartTime`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `EndTime`, t.`WindowsUpdateSetting`, toInt64(t.`TotalUpdatesMissing`) AS `TotalUpdatesMissing`, toInt64(t.`OldestMissingSecurityUpdateInDays`) AS `OldestMissingSecurityUpdateInDays`
        FROM `UpdateSummary` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`WindowsUpdateSetting`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(toString(t.`TotalUpdatesMissing`), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(ifNull(toString(t.`OldestMissingSecurityUpdateInDays`), ''), '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])error(?:$|[^\\pL\\pN])'))
    ) AS t
    GROUP BY t.`Type`
) AS t
ORDER BY t.`AggregatedValue` DESC;

-- * | measure count() by Type
SELECT *
FROM (
    SELECT t.`Type`, count() AS `AggregatedValue`
    FROM (
        SELECT 'Custom' AS `$table`, t.`TimeGenerated`, t.`LogType`, toJSONString(t.`Record`) AS `Record`, t.`Type`, '' AS `Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `_TimeReceived`, '' AS `SourceComputerId`, '' AS `OSType`, '' AS `ComputerIP`, CAST([], 'Array(String)') AS `ComputerPrivateIPs`, '' AS `Solutions`, CAST(NULL, 'Nullable(Float64)') AS `RemoteIPLatitude`, '' AS `OSName`, '' AS `UpdateID`, '' AS `Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, '' AS `UpdateRunName`, '' AS `UpdateId`, '' AS `InstallationStatus`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `StartTime`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `EndTime`, '' AS `WindowsUpdateSetting`, CAST(NULL, 'Nullable(Int64)') AS `TotalUpdatesMissing`, CAST(NULL, 'Nullable(Int64)') AS `OldestMissingSecurityUpdateInDays`
        FROM `Custom` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`LogType`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(toJSONString(t.`Record`), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])'))
        UNION ALL
        SELECT 'Event' AS `$table`, t.`TimeGenerated`, '' AS `LogType`, '' AS `Record`, t.`Type`, t.`Computer`, toInt64(t.`EventID`) AS `EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, '' AS `SourceComputerId`, '' AS `OSType`, '' AS `ComputerIP`, CAST([], 'Array(String)') AS `ComputerPrivateIPs`, '' AS `Solutions`, CAST(NULL, 'Nullable(Float64)') AS `RemoteIPLatitude`, '' AS `OSName`, '' AS `UpdateID`, '' AS `Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, '' AS `UpdateRunName`, '' AS `UpdateId`, '' AS `InstallationStatus`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `StartTime`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `EndTime`, '' AS `WindowsUpdateSetting`, CAST(NULL, 'Nullable(Int64)') AS `TotalUpdatesMissing`, CAST(NULL, 'Nullable(Int64)') AS `OldestMissingSecurityUpdateInDays`
        FROM `Event` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(toString(t.`EventID`), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`EventLog`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`EventLevelName`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`EventData`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`RenderedDescription`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(concat(formatDateTime(toDateTime64(t.`_TimeReceived`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])'))
        UNION ALL
        SELECT 'Heartbeat' AS `$table`, t.`TimeGenerated`, '' AS `LogType`, '' AS `Record`, t.`Type`, t.`Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, t.`_TimeReceived`, t.`SourceComputerId`, t.`OSType`, t.`ComputerIP`, t.`ComputerPrivateIPs`, t.`Solutions`, toFloat64(t.`RemoteIPLatitude`) AS `RemoteIPLatitude`, '' AS `OSName`, '' AS `UpdateID`, '' AS `Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, '' AS `UpdateRunName`, '' AS `UpdateId`, '' AS `InstallationStatus`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `StartTime`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `EndTime`, '' AS `WindowsUpdateSetting`, CAST(NULL, 'Nullable(Int64)') AS `TotalUpdatesMissing`, CAST(NULL, 'Nullable(Int64)') AS `OldestMissingSecurityUpdateInDays`
        FROM `Heartbeat` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`SourceComputerId`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`OSType`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`ComputerIP`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(toJSONString(t.`ComputerPrivateIPs`), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Solutions`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(ifNull(toString(t.`RemoteIPLatitude`), ''), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(concat(formatDateTime(toDateTime64(t.`_TimeReceived`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])'))
        UNION ALL
        SELECT 'Update' AS `$table`, t.`TimeGenerated`, '' AS `LogType`, '' AS `Record`, t.`Type`, t.`Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `_TimeReceived`, t.`SourceComputerId`, t.`OSType`, '' AS `ComputerIP`, CAST([], 'Array(String)') AS `ComputerPrivateIPs`, '' AS `Solutions`, CAST(NULL, 'Nullable(Float64)') AS `RemoteIPLatitude`, t.`OSName`, t.`UpdateID`, t.`Title`, t.`KBID`, t.`Product`, t.`ProductArch`, t.`Classification`, t.`UpdateState`, CAST(t.`Optional`, 'Bool') AS `Optional`, CAST(t.`Approved`, 'Bool') AS `Approved`, t.`PublishedDate`, t.`UpdateSeverity`, t.`BulletinUrl`, t.`ReportId`, '' AS `UpdateRunName`, '' AS `UpdateId`, '' AS `InstallationStatus`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `StartTime`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `EndTime`, '' AS `WindowsUpdateSetting`, CAST(NULL, 'Nullable(Int64)') AS `TotalUpdatesMissing`, CAST(NULL, 'Nullable(Int64)') AS `OldestMissingSecurityUpdateInDays`
        FROM `Update` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`SourceComputerId`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`OSType`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`OSName`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`UpdateID`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`KBID`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Product`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`ProductArch`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Classification`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`UpdateState`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(if(t.`Optional`, 'true', 'false'), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(if(t.`Approved`, 'true', 'false'), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`PublishedDate`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`UpdateSeverity`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`BulletinUrl`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(toString(t.`ReportId`), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])'))
        UNION ALL
        SELECT 'UpdateRunProgress' AS `$table`, t.`TimeGenerated`, '' AS `LogType`, '' AS `Record`, t.`Type`, t.`Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `_TimeReceived`, '' AS `SourceComputerId`, '' AS `OSType`, '' AS `ComputerIP`, CAST([], 'Array(String)') AS `ComputerPrivateIPs`, '' AS `Solutions`, CAST(NULL, 'Nullable(Float64)') AS `RemoteIPLatitude`, '' AS `OSName`, '' AS `UpdateID`, t.`Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, t.`UpdateRunName`, t.`UpdateId`, t.`InstallationStatus`, t.`StartTime`, t.`EndTime`, '' AS `WindowsUpdateSetting`, CAST(NULL, 'Nullable(Int64)') AS `TotalUpdatesMissing`, CAST(NULL, 'Nullable(Int64)') AS `OldestMissingSecurityUpdateInDays`
        FROM `UpdateRunProgress` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`UpdateRunName`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`UpdateId`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`InstallationStatus`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`StartTime`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`EndTime`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])'))
        UNION ALL
        SELECT 'UpdateSummary' AS `$table`, t.`TimeGenerated`, '' AS `LogType`, '' AS `Record`, t.`Type`, t.`Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `_TimeReceived`, '' AS `SourceComputerId`, '' AS `OSType`, '' AS `ComputerIP`, CAST([], 'Array(String)') AS `ComputerPrivateIPs`, '' AS `Solutions`, CAST(NULL, 'Nullable(Float64)') AS `RemoteIPLatitude`, '' AS `OSName`, '' AS `UpdateID`, '' AS `Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`, '' AS `UpdateRunName`, '' AS `UpdateId`, '' AS `InstallationStatus`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `StartTime`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `EndTime`, t.`WindowsUpdateSetting`, toInt64(t.`TotalUpdatesMissing`) AS `TotalUpdatesMissing`, toInt64(t.`OldestMissingSecurityUpdateInDays`) AS `OldestMissingSecurityUpdateInDays`
        FROM `UpdateSummary` AS t
        WHERE (match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`WindowsUpdateSetting`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(toString(t.`TotalUpdatesMissing`), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(ifNull(toString(t.`OldestMissingSecurityUpdateInDays`), ''), '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])true(?:$|[^\\pL\\pN])'))
    ) AS t
    GROUP BY t.`Type`
) AS t
ORDER BY t.`AggregatedValue` DESC;

-- Type=Heartbeat | extend strcat(Computer, "/", OSType) as Full | select Full
SELECT t.`Full`
FROM (
    SELECT t.`TimeGenerated`, t.`SourceComputerId`, t.`Computer`, t.`OSType`, t.`ComputerIP`, t.`ComputerPrivateIPs`, t.`Solutions`, t.`RemoteIPLatitude`, t.`_TimeReceived`, t.`Type`, concat(t.`Computer`, '/', t.`OSType`) AS `Full`
    FROM `Heartbeat` AS t
) AS t;

