-- The computers view of a run: each with its status and the percentage of updates that were installed.
-- Parameter name: name of the update deployment
-- Parameter run: when the run started; empty for the newest run
-- Parameter os: Linux | Windows
-- Parameter status: NotStarted | InProgress | Succeeded | Failed | FailedToStart | MaintenanceWindowExceeded
-- Parameter search: part of the computer's name, in any case
-- Required: name
-- Sort: Computer, OSType, Status, PercentInstalled, Updates, Succeeded, Failed, InProgress, NotStarted, LastReport
-- Key: SourceComputerId
SELECT
    Computer, OSType, Status, PercentInstalled, Updates, Succeeded,
    source.Failed + InstallFailed + FailedToStart AS Failed,
    InProgress, NotStarted, MaintenanceWindowExceeded, NotIncluded, Excluded, LastReport, SourceComputerId
FROM UpdateDeploymentComputers AS source
WHERE Name = {name:String}
    AND if({run:String} = '', IsNewestRun, RunStart = parseDateTime64BestEffortOrZero({run:String}, 3, 'UTC'))
    AND ({os:String} = '' OR OSType = {os:String})
    AND ({status:String} = '' OR Status = {status:String})
    AND positionCaseInsensitiveUTF8(Computer, {search:String}) > 0
