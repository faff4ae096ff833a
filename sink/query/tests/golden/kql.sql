-- Update
SELECT *
FROM `Update` AS t;

-- Update | where UpdateState == "Needed" and Optional == false | project Computer, Title
SELECT t.`Computer`, t.`Title`
FROM `Update` AS t
WHERE ((t.`UpdateState` = 'Needed') AND (t.`Optional` = false));

-- Update | where Computer =~ "WEB-1" or Title !~ 'x' | take 5
SELECT *
FROM `Update` AS t
WHERE ((lower(t.`Computer`) = 'web-1') OR (lower(t.`Title`) != 'x'))
LIMIT 5;

-- Update | where Title has "Security" and Title !has "Intel" and Title has ".exe."
SELECT *
FROM `Update` AS t
WHERE (match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])Security(?:$|[^\\pL\\pN])') AND (NOT match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])Intel(?:$|[^\\pL\\pN])')) AND match(t.`Title`, '(?is)\\.exe\\.'));

-- Update | where Title contains "cum" and Title contains_cs "Cum" and Title startswith "2017" and Title endswith_cs "7"
SELECT *
FROM `Update` AS t
WHERE ((positionCaseInsensitive(t.`Title`, 'cum') > 0) AND (position(t.`Title`, 'Cum') > 0) AND startsWith(lower(t.`Title`), '2017') AND endsWith(t.`Title`, '7'));

-- Update | where Title hasprefix "Cumul" and Title hassuffix "ative" and Title has_any ("a", "b") and Title has_all ("c", "d")
SELECT *
FROM `Update` AS t
WHERE (match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])Cumul') AND match(t.`Title`, '(?is)ative(?:$|[^\\pL\\pN])') AND (match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])a(?:$|[^\\pL\\pN])') OR match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])b(?:$|[^\\pL\\pN])')) AND (match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])c(?:$|[^\\pL\\pN])') AND match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])d(?:$|[^\\pL\\pN])')));

-- Update | where Title matches regex @"\.exe\.\w{0,4}$"
SELECT *
FROM `Update` AS t
WHERE match(t.`Title`, '\\.exe\\.\\w{0,4}$');

-- Update | where Classification in ("Security Updates", "Critical Updates") and KBID !in ("1") and OSType in~ ("linux")
SELECT *
FROM `Update` AS t
WHERE ((t.`Classification` IN ('Security Updates', 'Critical Updates')) AND (NOT (t.`KBID` = '1')) AND (lower(t.`OSType`) = 'linux'));

-- Update | where TimeGenerated between (ago(1d) .. now()) and not(PublishedDate !between (datetime(2017-07-01) .. 7d))
SELECT *
FROM `Update` AS t
WHERE (((t.`TimeGenerated` >= toDateTime64('2026-01-14 12:00:00', 3, 'UTC')) AND (t.`TimeGenerated` <= toDateTime64('2026-01-15 12:00:00', 3, 'UTC'))) AND (NOT (NOT ifNull(((t.`PublishedDate` >= toDateTime64('2017-07-01 00:00:00', 3, 'UTC')) AND (t.`PublishedDate` <= toDateTime64('2017-07-08 00:00:00', 3, 'UTC'))), false))));

-- Update | where PublishedDate != datetime(2017-07-01) and Approved != false and isnull(PublishedDate)
SELECT *
FROM `Update` AS t
WHERE (ifNull((t.`PublishedDate` != toDateTime64('2017-07-01 00:00:00', 3, 'UTC')), true) AND (t.`Approved` != false) AND isNull(t.`PublishedDate`));

-- Update | where * contains "kb4012212" | count
SELECT count() AS `Count`
FROM `Update` AS t
WHERE ((positionCaseInsensitive(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), 'kb4012212') > 0) OR (positionCaseInsensitive(t.`SourceComputerId`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`Computer`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`OSType`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`OSName`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`UpdateID`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`Title`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`KBID`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`Product`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`ProductArch`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`Classification`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`UpdateState`, 'kb4012212') > 0) OR (positionCaseInsensitive(if(t.`Optional`, 'true', 'false'), 'kb4012212') > 0) OR (positionCaseInsensitive(if(t.`Approved`, 'true', 'false'), 'kb4012212') > 0) OR (positionCaseInsensitive(ifNull(concat(formatDateTime(toDateTime64(t.`PublishedDate`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), 'kb4012212') > 0) OR (positionCaseInsensitive(t.`UpdateSeverity`, 'kb4012212') > 0) OR (positionCaseInsensitive(t.`BulletinUrl`, 'kb4012212') > 0) OR (positionCaseInsensitive(toString(t.`ReportId`), 'kb4012212') > 0) OR (positionCaseInsensitive(t.`Type`, 'kb4012212') > 0));

-- Event | where EventID == "3000" and EventLevelName == "error"
-- note: EventLevelName `error` is taken for `Error` as well
SELECT *
FROM `Event` AS t
WHERE ((t.`EventID` = 3000) AND (t.`EventLevelName` IN ('error', 'Error')));

-- UpdateRunProgress | where InstallationStatus != "failed" and Type = "UpdateRunProgress"
-- note: line 1, column 67: `=` is read as `==`, which is how KQL compares
-- note: no record has InstallationStatus `failed`: it is taken for `Failed`, `FailedToStart`, `InstallFailed`
SELECT *
FROM `UpdateRunProgress` AS t
WHERE ((NOT (t.`InstallationStatus` IN ('Failed', 'FailedToStart', 'InstallFailed'))) AND (t.`Type` = 'UpdateRunProgress'));

-- Update | where Optional == "false" and KBID == 4012212 and ReportId == "6F9619FF-8B86-D011-B42D-00C04FC964FF"
SELECT *
FROM `Update` AS t
WHERE ((t.`Optional` = false) AND (t.`KBID` = '4012212') AND (toString(t.`ReportId`) = '6f9619ff-8b86-d011-b42d-00c04fc964ff'));

-- Update | summarize count() by Computer
SELECT t.`Computer`, count() AS `count_`
FROM `Update` AS t
GROUP BY t.`Computer`;

-- Update | summarize by Computer, KBID
SELECT DISTINCT t.`Computer`, t.`KBID`
FROM `Update` AS t;

-- Update | summarize Missing = countif(UpdateState == "Needed"), dcount(KBID, 2), max(TimeGenerated) by Computer, Day = bin(TimeGenerated, 1d) | where Missing > 3 | sort by Missing desc, Computer asc
SELECT *
FROM (
    SELECT t.`Computer`, toStartOfInterval(t.`TimeGenerated`, toIntervalDay(1), 'UTC') AS `Day`, countIf((t.`UpdateState` = 'Needed')) AS `Missing`, uniqExact(t.`KBID`) AS `dcount_KBID`, max(t.`TimeGenerated`) AS `max_TimeGenerated`
    FROM `Update` AS t
    GROUP BY t.`Computer`, toStartOfInterval(t.`TimeGenerated`, toIntervalDay(1), 'UTC')
) AS t
WHERE (t.`Missing` > 3)
ORDER BY t.`Missing` DESC, t.`Computer` ASC;

-- Update | summarize hint.strategy=partitioned arg_max(TimeGenerated, UpdateState, Approved) by Computer, UpdateID
SELECT t.`Computer`, t.`UpdateID`, t.`TimeGenerated`, tupleElement(t.`row:0`, 1) AS `UpdateState`, CAST(tupleElement(t.`row:0`, 2), 'Bool') AS `Approved`
FROM (
    SELECT t.`Computer`, t.`UpdateID`, max(t.`TimeGenerated`) AS `TimeGenerated`, argMin(tuple(t.`UpdateState`, t.`Approved`), tuple((-toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC'))), t.`UpdateState`, t.`Approved`)) AS `row:0`
    FROM `Update` AS t
    GROUP BY t.`Computer`, t.`UpdateID`
) AS t;

-- Heartbeat | summarize arg_max(TimeGenerated, *) by SourceComputerId | top 3 by Computer asc | render table
SELECT *
FROM (
    SELECT t.`SourceComputerId`, t.`TimeGenerated`, tupleElement(t.`row:0`, 1) AS `Computer`, tupleElement(t.`row:0`, 2) AS `OSType`, tupleElement(t.`row:0`, 3) AS `ComputerIP`, tupleElement(t.`row:0`, 4) AS `ComputerPrivateIPs`, tupleElement(t.`row:0`, 5) AS `Solutions`, tupleElement(t.`row:0`, 6) AS `RemoteIPLatitude`, tupleElement(t.`row:0`, 7) AS `_TimeReceived`, tupleElement(t.`row:0`, 8) AS `Type`
    FROM (
        SELECT t.`SourceComputerId`, max(t.`TimeGenerated`) AS `TimeGenerated`, argMax(tuple(t.`Computer`, t.`OSType`, t.`ComputerIP`, t.`ComputerPrivateIPs`, t.`Solutions`, t.`RemoteIPLatitude`, t.`_TimeReceived`, t.`Type`), t.`TimeGenerated`) AS `row:0`
        FROM `Heartbeat` AS t
        GROUP BY t.`SourceComputerId`
    ) AS t
) AS t
ORDER BY t.`Computer` ASC
LIMIT 3;

-- Heartbeat | summarize Last = now() - max(TimeGenerated) by Computer | where Last between (1m .. 15m)
SELECT t.`Computer`, arrayMap(ticks -> concat(if(ticks < 0, '-', ''), if(abs(ticks) >= 864000000000, concat(toString(intDiv(abs(ticks), 864000000000)), '.'), ''), leftPad(toString(intDiv(abs(ticks), 36000000000) % 24), 2, '0'), ':', leftPad(toString(intDiv(abs(ticks), 600000000) % 60), 2, '0'), ':', leftPad(toString(intDiv(abs(ticks), 10000000) % 60), 2, '0'), if(abs(ticks) % 10000000 = 0, '', concat('.', leftPad(toString(abs(ticks) % 10000000), 7, '0')))), [t.`Last`])[1] AS `Last`
FROM (
    SELECT t.`Computer`, ((1768478400000000 - toUnixTimestamp64Micro(toDateTime64(max(t.`TimeGenerated`), 6, 'UTC'))) * 10) AS `Last`
    FROM `Heartbeat` AS t
    GROUP BY t.`Computer`
) AS t
WHERE ((t.`Last` >= 600000000) AND (t.`Last` <= 9000000000));

-- Heartbeat | summarize n = count() by bin_at(TimeGenerated, 1h, ago(24h)), Computer, osType = 1
SELECT fromUnixTimestamp64Micro(toInt64(toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) - positiveModulo(toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) - 1768392000000000, 3600000000)), 'UTC') AS `TimeGenerated`, t.`Computer`, 1 AS `osType`, count() AS `n`
FROM `Heartbeat` AS t
GROUP BY fromUnixTimestamp64Micro(toInt64(toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) - positiveModulo(toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) - 1768392000000000, 3600000000)), 'UTC'), t.`Computer`;

-- Heartbeat | summarize avg(RemoteIPLatitude), make_set(OSType), make_list(Computer), percentile(RemoteIPLatitude, 95)
SELECT avgOrNull(t.`RemoteIPLatitude`) AS `avg_RemoteIPLatitude`, arraySort(groupUniqArray(t.`OSType`)) AS `set_OSType`, groupArray(t.`Computer`) AS `list_Computer`, quantileExactLow(0.95)(t.`RemoteIPLatitude`) AS `percentile_RemoteIPLatitude`
FROM `Heartbeat` AS t;

-- Event | project Seconds = (ingestion_time() - TimeGenerated) / 1s, Later = TimeGenerated + 1h, Half = 1h / 2
SELECT (((toUnixTimestamp64Micro(toDateTime64(t.`_TimeReceived`, 6, 'UTC')) - toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC'))) * 10) / 10000000) AS `Seconds`, (t.`TimeGenerated` + toIntervalHour(1)) AS `Later`, arrayMap(ticks -> concat(if(ticks < 0, '-', ''), if(abs(ticks) >= 864000000000, concat(toString(intDiv(abs(ticks), 864000000000)), '.'), ''), leftPad(toString(intDiv(abs(ticks), 36000000000) % 24), 2, '0'), ':', leftPad(toString(intDiv(abs(ticks), 600000000) % 60), 2, '0'), ':', leftPad(toString(intDiv(abs(ticks), 10000000) % 60), 2, '0'), if(abs(ticks) % 10000000 = 0, '', concat('.', leftPad(toString(abs(ticks) % 10000000), 7, '0')))), [toInt64(36000000000 / 2)])[1] AS `Half`
FROM `Event` AS t;

-- Event | extend n = EventID / 7, m = EventID % 7, r = EventID * 1.5, s = -EventID | project-away Event*, RenderedDescription
SELECT t.`TimeGenerated`, t.`Computer`, t.`_TimeReceived`, t.`Type`, intDiv(t.`EventID`, 7) AS `n`, positiveModulo(t.`EventID`, 7) AS `m`, (t.`EventID` * 1.5) AS `r`, (-t.`EventID`) AS `s`
FROM `Event` AS t;

-- Event | extend Level = iff(EventID > 5, "high", "low"), Case = case(EventID == 1, 1, EventID == 2, 2.5, 3), First = coalesce(EventData, "none")
SELECT t.`TimeGenerated`, t.`Computer`, t.`EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`, if((t.`EventID` > 5), 'high', 'low') AS `Level`, multiIf((t.`EventID` = 1), toFloat64(1), (t.`EventID` = 2), 2.5, toFloat64(3)) AS `Case`, coalesce(nullIf(t.`EventData`, ''), nullIf('none', ''), '') AS `First`
FROM `Event` AS t;

-- Event | extend Name = strcat(Computer, "_", EventID), Part = split(Computer, ".")[0], Up = toupper(substring(Computer, 0, 3))
SELECT t.`TimeGenerated`, t.`Computer`, t.`EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`, concat(t.`Computer`, '_', toString(t.`EventID`)) AS `Name`, splitByString('.', t.`Computer`)[1] AS `Part`, upperUTF8(substringUTF8(t.`Computer`, 0 + 1, 3)) AS `Up`
FROM `Event` AS t;

-- Event | extend X = parse_xml(EventData) | extend Name = tostring(X.DataItem.UserData["ClusterName"]), Time = X.DataItem["@time"]
SELECT t.`TimeGenerated`, t.`Computer`, t.`EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`, decodeXMLComponent(t.`EventData`) AS `X`, decodeXMLComponent(extract(extract(extract(t.`EventData`, '(?s)<DataItem(?:\\s[^>]*?)?(?:/>|>(.*?)</DataItem\\s*>)'), '(?s)<UserData(?:\\s[^>]*?)?(?:/>|>(.*?)</UserData\\s*>)'), '(?s)<ClusterName(?:\\s[^>]*?)?(?:/>|>(.*?)</ClusterName\\s*>)')) AS `Name`, decodeXMLComponent(extract(t.`EventData`, '<DataItem(?:\\s[^>]*?)?\\stime\\s*=\\s*["\']([^"\']*)["\']')) AS `Time`
FROM `Event` AS t;

-- Event | extend D = parse_json(RenderedDescription) | where D.a.b == "x" | project D.list[0], N = toint(D["n"]), Last = D.list[-1]
SELECT multiIf(startsWith(JSONExtractRaw(t.`RenderedDescription`, 'list', 1), '"'), JSONExtractString(JSONExtractRaw(t.`RenderedDescription`, 'list', 1)), JSONExtractRaw(t.`RenderedDescription`, 'list', 1) = 'null', '', JSONExtractRaw(t.`RenderedDescription`, 'list', 1)) AS `D`, ifNull(toInt64OrNull(multiIf(startsWith(JSONExtractRaw(t.`RenderedDescription`, 'n'), '"'), JSONExtractString(JSONExtractRaw(t.`RenderedDescription`, 'n')), JSONExtractRaw(t.`RenderedDescription`, 'n') = 'null', '', JSONExtractRaw(t.`RenderedDescription`, 'n'))), accurateCastOrNull(trunc(toFloat64OrNull(multiIf(startsWith(JSONExtractRaw(t.`RenderedDescription`, 'n'), '"'), JSONExtractString(JSONExtractRaw(t.`RenderedDescription`, 'n')), JSONExtractRaw(t.`RenderedDescription`, 'n') = 'null', '', JSONExtractRaw(t.`RenderedDescription`, 'n')))), 'Int64')) AS `N`, multiIf(startsWith(JSONExtractRaw(t.`RenderedDescription`, 'list', -1), '"'), JSONExtractString(JSONExtractRaw(t.`RenderedDescription`, 'list', -1)), JSONExtractRaw(t.`RenderedDescription`, 'list', -1) = 'null', '', JSONExtractRaw(t.`RenderedDescription`, 'list', -1)) AS `Last`
FROM `Event` AS t
WHERE (multiIf(startsWith(JSONExtractRaw(t.`RenderedDescription`, 'a', 'b'), '"'), JSONExtractString(JSONExtractRaw(t.`RenderedDescription`, 'a', 'b')), JSONExtractRaw(t.`RenderedDescription`, 'a', 'b') = 'null', '', JSONExtractRaw(t.`RenderedDescription`, 'a', 'b')) = 'x');

-- Custom | where Record.level == "error" | project tostring(Record.message)
SELECT multiIf(startsWith(JSONExtractRaw(toJSONString(t.`Record`), 'message'), '"'), JSONExtractString(JSONExtractRaw(toJSONString(t.`Record`), 'message')), JSONExtractRaw(toJSONString(t.`Record`), 'message') = 'null', '', JSONExtractRaw(toJSONString(t.`Record`), 'message')) AS `message`
FROM `Custom` AS t
WHERE (multiIf(startsWith(JSONExtractRaw(toJSONString(t.`Record`), 'level'), '"'), JSONExtractString(JSONExtractRaw(toJSONString(t.`Record`), 'level')), JSONExtractRaw(toJSONString(t.`Record`), 'level') = 'null', '', JSONExtractRaw(toJSONString(t.`Record`), 'level')) = 'error');

-- Event | extend Servers = parse_json(RenderedDescription).m_servers | mv-expand Servers | project Name = tostring(Servers.m_name)
SELECT multiIf(startsWith(JSONExtractRaw(t.`Servers`, 'm_name'), '"'), JSONExtractString(JSONExtractRaw(t.`Servers`, 'm_name')), JSONExtractRaw(t.`Servers`, 'm_name') = 'null', '', JSONExtractRaw(t.`Servers`, 'm_name')) AS `Name`
FROM (
    SELECT t.`TimeGenerated`, t.`Computer`, t.`EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`, t.`element:0` AS `Servers`
    FROM (
        SELECT t.`TimeGenerated`, t.`Computer`, t.`EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`, t.`Servers`, arrayJoin(JSONExtractArrayRaw(t.`Servers`)) AS `element:0`
        FROM (
            SELECT t.`TimeGenerated`, t.`Computer`, t.`EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`, JSONExtractRaw(t.`RenderedDescription`, 'm_servers') AS `Servers`
            FROM `Event` AS t
        ) AS t
    ) AS t
) AS t;

-- Heartbeat | mv-expand IP = ComputerPrivateIPs | distinct Computer, IP
SELECT DISTINCT t.`Computer`, t.`IP`
FROM (
    SELECT t.`TimeGenerated`, t.`SourceComputerId`, t.`Computer`, t.`OSType`, t.`ComputerIP`, t.`ComputerPrivateIPs`, t.`Solutions`, t.`RemoteIPLatitude`, t.`_TimeReceived`, t.`Type`, t.`element:0` AS `IP`
    FROM (
        SELECT t.`TimeGenerated`, t.`SourceComputerId`, t.`Computer`, t.`OSType`, t.`ComputerIP`, t.`ComputerPrivateIPs`, t.`Solutions`, t.`RemoteIPLatitude`, t.`_TimeReceived`, t.`Type`, arrayJoin(t.`ComputerPrivateIPs`) AS `element:0`
        FROM (
            SELECT *
            FROM `Heartbeat` AS t
        ) AS t
    ) AS t
) AS t;

-- Event | extend Detail = pack("id", EventID, "at", TimeGenerated, "data", parse_json(EventData)), Reported = datetime_add('Microsecond', 10, make_datetime(1601, 1, 1))
SELECT t.`TimeGenerated`, t.`Computer`, t.`EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`, multiIf(startsWith(concat('{', toJSONString('id'), ':', toString(t.`EventID`), ',', toJSONString('at'), ':', toJSONString(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z')), ',', toJSONString('data'), ':', if(t.`EventData` = '', 'null', t.`EventData`), '}'), '"'), JSONExtractString(concat('{', toJSONString('id'), ':', toString(t.`EventID`), ',', toJSONString('at'), ':', toJSONString(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z')), ',', toJSONString('data'), ':', if(t.`EventData` = '', 'null', t.`EventData`), '}')), concat('{', toJSONString('id'), ':', toString(t.`EventID`), ',', toJSONString('at'), ':', toJSONString(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z')), ',', toJSONString('data'), ':', if(t.`EventData` = '', 'null', t.`EventData`), '}') = 'null', '', concat('{', toJSONString('id'), ':', toString(t.`EventID`), ',', toJSONString('at'), ':', toJSONString(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z')), ',', toJSONString('data'), ':', if(t.`EventData` = '', 'null', t.`EventData`), '}')) AS `Detail`, fromUnixTimestamp64Micro(toInt64(-11644473600000000 + 10 * 1), 'UTC') AS `Reported`
FROM `Event` AS t;

-- Event | sort by TimeGenerated desc nulls last | extend x = EventID + 1 | where x > 5 | project-away TimeGenerated | limit 10
SELECT t.`Computer`, t.`EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`, t.`x`
FROM (
    SELECT t.`TimeGenerated`, t.`Computer`, t.`EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`, (t.`EventID` + 1) AS `x`, t.`TimeGenerated` AS `order:0`
    FROM `Event` AS t
) AS t
WHERE (t.`x` > 5)
ORDER BY t.`order:0` DESC
LIMIT 10;

-- Event | top 10 by EventID | sort by Computer asc | project-rename Host = Computer | project-keep Host, EventID | project-reorder Event*
SELECT t.`EventID`, t.`Computer` AS `Host`
FROM (
    SELECT *, t.`EventID` AS `order:0`
    FROM `Event` AS t
    ORDER BY t.`EventID` DESC
    LIMIT 10
) AS t
ORDER BY t.`Computer` ASC;

-- Event | distinct *
SELECT DISTINCT t.`TimeGenerated`, t.`Computer`, t.`EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`
FROM `Event` AS t;

-- Event | where Computer in ((Update | where Optional == false | distinct Computer))
SELECT *
FROM `Event` AS t
WHERE (t.`Computer` IN (
    SELECT DISTINCT t.`Computer`
    FROM `Update` AS t
    WHERE (t.`Optional` = false)
));

-- let Needed = Update | where UpdateState == "Needed"; let Name = "web-1"; Needed | where Computer == Name and Computer in (Needed)
SELECT *
FROM `Update` AS t
WHERE (t.`UpdateState` = 'Needed')
  AND ((t.`Computer` = 'web-1') AND (t.`Computer` IN (
    SELECT concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z') AS `TimeGenerated`
    FROM `Update` AS t
    WHERE (t.`UpdateState` = 'Needed')
)));

-- Event | join kind=inner (Update | distinct Computer) on Computer
SELECT l.`TimeGenerated` AS `TimeGenerated`, l.`Computer` AS `Computer`, l.`EventID` AS `EventID`, l.`EventLog` AS `EventLog`, l.`EventLevelName` AS `EventLevelName`, l.`EventData` AS `EventData`, l.`RenderedDescription` AS `RenderedDescription`, l.`_TimeReceived` AS `_TimeReceived`, l.`Type` AS `Type`, r.`Computer` AS `Computer1`
FROM (
    SELECT *
    FROM `Event` AS t
) AS l
INNER JOIN (
    SELECT *
    FROM (
        SELECT DISTINCT t.`Computer`
        FROM `Update` AS t
    ) AS t
) AS r ON l.`Computer` = r.`Computer`;

-- Event | join (Update) on $left.Computer == $right.Computer, Type
SELECT l.`TimeGenerated` AS `TimeGenerated`, l.`Computer` AS `Computer`, l.`EventID` AS `EventID`, l.`EventLog` AS `EventLog`, l.`EventLevelName` AS `EventLevelName`, l.`EventData` AS `EventData`, l.`RenderedDescription` AS `RenderedDescription`, l.`_TimeReceived` AS `_TimeReceived`, l.`Type` AS `Type`, r.`TimeGenerated` AS `TimeGenerated1`, r.`SourceComputerId` AS `SourceComputerId`, r.`Computer` AS `Computer1`, r.`OSType` AS `OSType`, r.`OSName` AS `OSName`, r.`UpdateID` AS `UpdateID`, r.`Title` AS `Title`, r.`KBID` AS `KBID`, r.`Product` AS `Product`, r.`ProductArch` AS `ProductArch`, r.`Classification` AS `Classification`, r.`UpdateState` AS `UpdateState`, r.`Optional` AS `Optional`, r.`Approved` AS `Approved`, r.`PublishedDate` AS `PublishedDate`, r.`UpdateSeverity` AS `UpdateSeverity`, r.`BulletinUrl` AS `BulletinUrl`, r.`ReportId` AS `ReportId`, r.`Type` AS `Type1`
FROM (
    SELECT *
    FROM `Event` AS t
    LIMIT 1 BY t.`Computer`, t.`Type`
) AS l
INNER JOIN (
    SELECT *
    FROM `Update` AS t
) AS r ON l.`Computer` = r.`Computer` AND l.`Type` = r.`Type`;

-- Update | join kind=leftouter (UpdateSummary | project Computer, TotalUpdatesMissing) on Computer | where TotalUpdatesMissing > 1
SELECT *
FROM (
    SELECT l.`TimeGenerated` AS `TimeGenerated`, l.`SourceComputerId` AS `SourceComputerId`, l.`Computer` AS `Computer`, l.`OSType` AS `OSType`, l.`OSName` AS `OSName`, l.`UpdateID` AS `UpdateID`, l.`Title` AS `Title`, l.`KBID` AS `KBID`, l.`Product` AS `Product`, l.`ProductArch` AS `ProductArch`, l.`Classification` AS `Classification`, l.`UpdateState` AS `UpdateState`, l.`Optional` AS `Optional`, l.`Approved` AS `Approved`, l.`PublishedDate` AS `PublishedDate`, l.`UpdateSeverity` AS `UpdateSeverity`, l.`BulletinUrl` AS `BulletinUrl`, l.`ReportId` AS `ReportId`, l.`Type` AS `Type`, r.`Computer` AS `Computer1`, if(r.`join:mark`, r.`TotalUpdatesMissing`, NULL) AS `TotalUpdatesMissing`
    FROM (
        SELECT *
        FROM `Update` AS t
    ) AS l
    LEFT JOIN (
        SELECT t.`Computer`, t.`TotalUpdatesMissing`, true AS `join:mark`
        FROM `UpdateSummary` AS t
    ) AS r ON l.`Computer` = r.`Computer`
) AS t
WHERE (t.`TotalUpdatesMissing` > 1);

-- Update | join kind=leftsemi (Event) on Computer | join kind=leftanti (Heartbeat) on Computer
SELECT *
FROM `Update` AS t
WHERE (t.`Computer`) IN (
    SELECT t.`Computer` AS `key:0`
    FROM `Event` AS t
)
  AND (t.`Computer`) NOT IN (
    SELECT t.`Computer` AS `key:0`
    FROM `Heartbeat` AS t
);

-- Update | lookup kind=inner (UpdateSummary | project Computer, TotalUpdatesMissing) on Computer
SELECT l.`TimeGenerated` AS `TimeGenerated`, l.`SourceComputerId` AS `SourceComputerId`, l.`Computer` AS `Computer`, l.`OSType` AS `OSType`, l.`OSName` AS `OSName`, l.`UpdateID` AS `UpdateID`, l.`Title` AS `Title`, l.`KBID` AS `KBID`, l.`Product` AS `Product`, l.`ProductArch` AS `ProductArch`, l.`Classification` AS `Classification`, l.`UpdateState` AS `UpdateState`, l.`Optional` AS `Optional`, l.`Approved` AS `Approved`, l.`PublishedDate` AS `PublishedDate`, l.`UpdateSeverity` AS `UpdateSeverity`, l.`BulletinUrl` AS `BulletinUrl`, l.`ReportId` AS `ReportId`, l.`Type` AS `Type`, r.`TotalUpdatesMissing` AS `TotalUpdatesMissing`
FROM (
    SELECT *
    FROM `Update` AS t
) AS l
INNER JOIN (
    SELECT t.`Computer`, t.`TotalUpdatesMissing`
    FROM `UpdateSummary` AS t
) AS r ON l.`Computer` = r.`Computer`;

-- Update | project Computer, osType = 1 | union (Heartbeat | project Computer, Solutions, osType = 2.5) | summarize count() by Computer
SELECT t.`Computer`, count() AS `count_`
FROM (
    SELECT t.`Computer`, toFloat64(1) AS `osType`, '' AS `Solutions`
    FROM `Update` AS t
    UNION ALL
    SELECT t.`Computer`, 2.5 AS `osType`, t.`Solutions`
    FROM `Heartbeat` AS t
) AS t
GROUP BY t.`Computer`;

-- union withsource = Table kind=inner Update, Event | where Computer == "x"
SELECT *
FROM (
    SELECT 'Update' AS `Table`, t.`TimeGenerated`, t.`Computer`, t.`Type`
    FROM `Update` AS t
    UNION ALL
    SELECT 'Event' AS `Table`, t.`TimeGenerated`, t.`Computer`, t.`Type`
    FROM `Event` AS t
) AS t
WHERE (t.`Computer` = 'x');

-- search in (Event, Update) "access denied" and Computer == "x" | take 3
SELECT *
FROM (
    SELECT 'Event' AS `$table`, t.`TimeGenerated`, t.`Computer`, toInt64(t.`EventID`) AS `EventID`, t.`EventLog`, t.`EventLevelName`, t.`EventData`, t.`RenderedDescription`, t.`_TimeReceived`, t.`Type`, '' AS `SourceComputerId`, '' AS `OSType`, '' AS `OSName`, '' AS `UpdateID`, '' AS `Title`, '' AS `KBID`, '' AS `Product`, '' AS `ProductArch`, '' AS `Classification`, '' AS `UpdateState`, CAST(NULL, 'Nullable(Bool)') AS `Optional`, CAST(NULL, 'Nullable(Bool)') AS `Approved`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `PublishedDate`, '' AS `UpdateSeverity`, '' AS `BulletinUrl`, CAST(NULL, 'Nullable(UUID)') AS `ReportId`
    FROM `Event` AS t
    WHERE ((match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(toString(t.`EventID`), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`EventLog`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`EventLevelName`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`EventData`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`RenderedDescription`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(concat(formatDateTime(toDateTime64(t.`_TimeReceived`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])')) AND (t.`Computer` = 'x'))
    UNION ALL
    SELECT 'Update' AS `$table`, t.`TimeGenerated`, t.`Computer`, CAST(NULL, 'Nullable(Int64)') AS `EventID`, '' AS `EventLog`, '' AS `EventLevelName`, '' AS `EventData`, '' AS `RenderedDescription`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `_TimeReceived`, t.`Type`, t.`SourceComputerId`, t.`OSType`, t.`OSName`, t.`UpdateID`, t.`Title`, t.`KBID`, t.`Product`, t.`ProductArch`, t.`Classification`, t.`UpdateState`, CAST(t.`Optional`, 'Bool') AS `Optional`, CAST(t.`Approved`, 'Bool') AS `Approved`, t.`PublishedDate`, t.`UpdateSeverity`, t.`BulletinUrl`, t.`ReportId`
    FROM `Update` AS t
    WHERE ((match(concat(formatDateTime(toDateTime64(t.`TimeGenerated`, 6, 'UTC'), '%FT%T.%f'), '0Z'), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`SourceComputerId`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Computer`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`OSType`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`OSName`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`UpdateID`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Title`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`KBID`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Product`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`ProductArch`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Classification`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`UpdateState`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(if(t.`Optional`, 'true', 'false'), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(if(t.`Approved`, 'true', 'false'), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(ifNull(concat(formatDateTime(toDateTime64(t.`PublishedDate`, 6, 'UTC'), '%FT%T.%f'), '0Z'), ''), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`UpdateSeverity`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`BulletinUrl`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(toString(t.`ReportId`), '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])') OR match(t.`Type`, '(?is)(?:^|[^\\pL\\pN])access denied(?:$|[^\\pL\\pN])')) AND (t.`Computer` = 'x'))
) AS t
LIMIT 3;

-- let Start = ago(24h); Heartbeat | make-series Latency = avg((_TimeReceived - TimeGenerated) / 1s) default=0 on TimeGenerated in range(Start, now(), 10m) by Computer | extend (R, Slope) = series_fit_line(Latency) | project Computer, Up = Slope > 0
SELECT t.`Computer`, CAST((t.`Slope` > 0), 'Bool') AS `Up`
FROM (
    SELECT t.`Computer`, t.`Latency`, t.`TimeGenerated`, tupleElement(t.`fit:0`, 1) AS `R`, tupleElement(t.`fit:0`, 2) AS `Slope`
    FROM (
        SELECT t.`Computer`, t.`Latency`, t.`TimeGenerated`, arrayMap((y, f) -> (if(arraySum(v -> pow(v - arrayAvg(y), 2), y) = 0, 0., 1 - arraySum((i, v) -> pow(v - (f.1 * i + f.2), 2), range(length(y)), y) / arraySum(v -> pow(v - arrayAvg(y), 2), y)), f.1, arraySum(v -> pow(v - arrayAvg(y), 2), y) / length(y), arraySum((i, v) -> pow(v - (f.1 * i + f.2), 2), range(length(y)), y) / length(y), f.2, arrayMap(i -> f.1 * i + f.2, range(length(y)))), [t.`Latency`], [arrayReduce('simpleLinearRegression', range(length(t.`Latency`)), t.`Latency`)])[1] AS `fit:0`
        FROM (
            SELECT g.`key:0` AS `Computer`, arrayMap(i -> if(indexOf(g.`steps`, i) = 0, toFloat64(0), g.`value:0`[indexOf(g.`steps`, i)]), range(toUInt32(least(greatest(intDiv(s.last - s.first, s.step) + 1, 0), 1000000)))) AS `Latency`, arrayMap(i -> fromUnixTimestamp64Micro(toInt64(s.first + i * s.step), 'UTC'), range(toUInt32(least(greatest(intDiv(s.last - s.first, s.step) + 1, 0), 1000000)))) AS `TimeGenerated`
            FROM (
                SELECT t.`key:0` AS `key:0`, groupArray(t.`step`) AS `steps`, groupArray(t.`value:0`) AS `value:0`
                FROM (
                    SELECT t.`Computer` AS `key:0`, intDiv(toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) - s.first, s.step) AS `step`, toFloat64(avgOrNull((((toUnixTimestamp64Micro(toDateTime64(t.`_TimeReceived`, 6, 'UTC')) - toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC'))) * 10) / 10000000))) AS `value:0`
                    FROM (
                        SELECT *
                        FROM `Heartbeat` AS t
                    ) AS t CROSS JOIN (SELECT 1768392000000000 AS first, 1768478400000000 AS last, 600000000 AS step) AS s
                    WHERE toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) >= s.first AND toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) <= s.last
                    GROUP BY t.`Computer`, intDiv(toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) - s.first, s.step)
                ) AS t
                GROUP BY t.`key:0`
            ) AS g CROSS JOIN (SELECT 1768392000000000 AS first, 1768478400000000 AS last, 600000000 AS step) AS s
        ) AS t
    ) AS t
) AS t;

-- Heartbeat | make-series count() on TimeGenerated from datetime(2026-01-14) to datetime(2026-01-15) step 1h | extend (R2, Split, V, RV, Fit) = series_fit_2lines(count_) | project R2, Split
SELECT t.`R2`, t.`Split`
FROM (
    SELECT t.`count_`, t.`TimeGenerated`, tupleElement(t.`fit:0`, 1) AS `R2`, tupleElement(t.`fit:0`, 2) AS `Split`, tupleElement(t.`fit:0`, 3) AS `V`, tupleElement(t.`fit:0`, 4) AS `RV`, tupleElement(t.`fit:0`, 5) AS `Fit`
    FROM (
        SELECT t.`count_`, t.`TimeGenerated`, arrayMap((y, c) -> arrayMap((y, m, k) -> (if(arraySum(v -> pow(v - arrayAvg(y), 2), y) = 0, 0., 1 - m / arraySum(v -> pow(v - arrayAvg(y), 2), y)), toInt64(k) - 1, arraySum(v -> pow(v - arrayAvg(y), 2), y) / length(y), m / length(y), arrayConcat(arrayMap((p, f) -> arrayMap(i -> f.1 * i + f.2, range(length(p))), [arraySlice(y, 1, k)], [arrayReduce('simpleLinearRegression', range(length(arraySlice(y, 1, k))), arraySlice(y, 1, k))])[1], arrayMap((p, f) -> arrayMap(i -> f.1 * i + f.2, range(length(p))), [arraySlice(y, k + 1)], [arrayReduce('simpleLinearRegression', range(length(arraySlice(y, k + 1))), arraySlice(y, k + 1))])[1])), [y], [arrayMin(c)], [indexOf(c, arrayMin(c)) + 1])[1], [t.`count_`], [arrayMap(y -> arrayMap(k -> arrayMap((p, f) -> arraySum((i, v) -> pow(v - (f.1 * i + f.2), 2), range(length(p)), p), [arraySlice(y, 1, k)], [arrayReduce('simpleLinearRegression', range(length(arraySlice(y, 1, k))), arraySlice(y, 1, k))])[1] + arrayMap((p, f) -> arraySum((i, v) -> pow(v - (f.1 * i + f.2), 2), range(length(p)), p), [arraySlice(y, k + 1)], [arrayReduce('simpleLinearRegression', range(length(arraySlice(y, k + 1))), arraySlice(y, k + 1))])[1], range(2, greatest(toInt64(length(y)) - 1, 2))), [t.`count_`])[1]])[1] AS `fit:0`
        FROM (
            SELECT arrayMap(i -> if(indexOf(g.`steps`, i) = 0, 0., g.`value:0`[indexOf(g.`steps`, i)]), range(toUInt32(least(greatest(intDiv(s.last - s.first + s.step - 1, s.step) , 0), 1000000)))) AS `count_`, arrayMap(i -> fromUnixTimestamp64Micro(toInt64(s.first + i * s.step), 'UTC'), range(toUInt32(least(greatest(intDiv(s.last - s.first + s.step - 1, s.step) , 0), 1000000)))) AS `TimeGenerated`
            FROM (
                SELECT groupArray(t.`step`) AS `steps`, groupArray(t.`value:0`) AS `value:0`
                FROM (
                    SELECT intDiv(toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) - s.first, s.step) AS `step`, toFloat64(toFloat64(count())) AS `value:0`
                    FROM (
                        SELECT *
                        FROM `Heartbeat` AS t
                    ) AS t CROSS JOIN (SELECT 1768348800000000 AS first, 1768435200000000 AS last, 3600000000 AS step) AS s
                    WHERE toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) >= s.first AND toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) < s.last
                    GROUP BY intDiv(toUnixTimestamp64Micro(toDateTime64(t.`TimeGenerated`, 6, 'UTC')) - s.first, s.step)
                ) AS t
            ) AS g CROSS JOIN (SELECT 1768348800000000 AS first, 1768435200000000 AS last, 3600000000 AS step) AS s
        ) AS t
    ) AS t
) AS t;

-- print a = 1, b = "it's \\ \"quoted\"\n", c = dynamic({"k": [1, 'two', null]}), d = datetime(null), e = 1.5h, f = 1e3
SELECT 1 AS `a`, 'it\'s \\ "quoted"\n' AS `b`, multiIf(startsWith('{"k":[1,"two",null]}', '"'), JSONExtractString('{"k":[1,"two",null]}'), '{"k":[1,"two",null]}' = 'null', '', '{"k":[1,"two",null]}') AS `c`, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS `d`, arrayMap(ticks -> concat(if(ticks < 0, '-', ''), if(abs(ticks) >= 864000000000, concat(toString(intDiv(abs(ticks), 864000000000)), '.'), ''), leftPad(toString(intDiv(abs(ticks), 36000000000) % 24), 2, '0'), ':', leftPad(toString(intDiv(abs(ticks), 600000000) % 60), 2, '0'), ':', leftPad(toString(intDiv(abs(ticks), 10000000) % 60), 2, '0'), if(abs(ticks) % 10000000 = 0, '', concat('.', leftPad(toString(abs(ticks) % 10000000), 7, '0')))), [54000000000])[1] AS `e`, 1000.0 AS `f`
FROM system.one AS t;

-- Update</br>&#124; where UpdateState == "Needed" // as in the documents</br>
-- | project Computer
SELECT t.`Computer`
FROM `Update` AS t
WHERE (t.`UpdateState` = 'Needed');

