-- The updates view of a run: each update with how many computers stand where with it.
-- Parameter name: name of the update deployment
-- Parameter run: when the run started; empty for the newest run
-- Parameter os: Linux | Windows
-- Parameter search: part of the title or KB number, in any case
-- Required: name
-- Sort: Title, OSType, KB, Computers, PercentInstalled, Succeeded, Failed, InProgress, NotStarted, LastReport
-- Key: OSType, Title, KB, UpdateId
SELECT
    Title, OSType, KBID AS KB, Computers, PercentInstalled, Succeeded,
    source.Failed + InstallFailed + FailedToStart AS Failed,
    InProgress, NotStarted, MaintenanceWindowExceeded, NotIncluded, Excluded, IsExcluded, LastReport, UpdateId
FROM UpdateDeploymentUpdates AS source
WHERE Name = {name:String}
    AND if({run:String} = '', IsNewestRun, RunStart = parseDateTime64BestEffortOrZero({run:String}, 3, 'UTC'))
    AND ({os:String} = '' OR OSType = {os:String})
    AND positionCaseInsensitiveUTF8(concat(Title, ' ', KBID), {search:String}) > 0
