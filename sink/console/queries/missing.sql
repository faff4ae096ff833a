-- Updates that computers miss, by the newest scans in the time range, with how many computers: needed, approved and
-- not optional. An update stands once a classification: what a package closes depends on what was installed.
-- Severity, bulletin and advisories are those of the computer that it matters most to.
-- Parameter search: part of the name, KB number, bulletin, advisory or CVE, in any case
-- Parameter group: management group; empty for all
-- Parameter os: Linux | Windows
-- Parameter classification: final classification; empty for all
-- Sort: -Computers, Name, Version, OSType, KB, Classification, Severity, Published
-- Key: OSType, Name, Version, KB, Classification, ClassificationSource
SELECT
    Name, Version, OSType, KB, Classification, ClassificationSource, Computers,
    Gravest.1 AS Severity,
    Gravest.2 AS BulletinID,
    Gravest.3 AS BulletinUrl,
    Gravest.4 AS MSRCBulletinID,
    Gravest.5 AS AdvisoryIDs,
    Gravest.6 AS CVENumbers,
    Published
FROM
(
    SELECT
        if(Title = '', Product, Title) AS Name,
        if(OSType = 'Linux', ProductVersion, '') AS Version,
        OSType,
        KBID AS KB,
        Classification,
        ClassificationSource,
        uniqExact(SourceComputerId) AS Computers,
        argMax(
            (UpdateSeverity, BulletinID, BulletinUrl, MSRCBulletinID, AdvisoryIDs, CVENumbers),
            (transform(UpdateSeverity, ['Critical', 'Important', 'High', 'Moderate', 'Medium', 'Low'],
                [4, 3, 3, 2, 2, 1], 0), length(AdvisoryIDs), AdvisoryIDs, BulletinUrl)) AS Gravest,
        min(PublishedDate) AS Published
    FROM Update
    WHERE UpdateState = 'Needed' AND Approved AND NOT Optional
        AND TimeGenerated >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeGenerated <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')
        AND ({group:String} = '' OR ManagementGroupName = {group:String})
        AND ({os:String} = '' OR OSType = {os:String})
        AND ({classification:String} = '' OR Classification = {classification:String})
        AND ({search:String} = ''
            OR positionCaseInsensitiveUTF8(
                concatWithSeparator(' ', Title, Product, KBID, BulletinID, MSRCBulletinID, AdvisoryIDs, CVENumbers),
                {search:String}) > 0)
    GROUP BY Name, Version, OSType, KB, Classification, ClassificationSource
)
