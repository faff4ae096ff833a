-- The computers that miss one update, each with why it is classified so there.
-- Parameter os: Linux | Windows
-- Parameter name: name of the update
-- Parameter version: Linux: version of the package
-- Parameter kb: KB number
-- Parameter classification: final classification; empty for all
-- Parameter search: part of the computer's name, in any case
-- Required: name
-- Sort: Computer, OSName, ManagementGroup, Classification, ClassificationSource, Severity, LastAssessed
-- Key: SourceComputerId, UpdateID, Product, ProductArch, ProductVersion
SELECT
    Computer,
    OSName,
    ManagementGroupName AS ManagementGroup,
    Classification,
    ClassificationSource,
    AdvisoryIDs,
    AgentClassification,
    UpdateSeverity AS Severity,
    BulletinID, BulletinUrl,
    TimeGenerated AS LastAssessed,
    SourceComputerId, UpdateID, Product, ProductArch, ProductVersion
FROM Update
WHERE UpdateState = 'Needed' AND Approved AND NOT Optional
    AND TimeGenerated >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND TimeGenerated <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    AND if(Title = '', Product, Title) = {name:String}
    AND ({os:String} = '' OR OSType = {os:String})
    AND ({version:String} = '' OR ProductVersion = {version:String})
    AND ({kb:String} = '' OR KBID = {kb:String})
    AND ({classification:String} = '' OR Classification = {classification:String})
    AND positionCaseInsensitiveUTF8(Computer, {search:String}) > 0
