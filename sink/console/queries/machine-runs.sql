-- A computer's last word on each update of the update runs in the time range.
-- Parameter computer: SourceComputerId
-- Required: computer
-- Sort: -Time, Run, Name, Status
-- Key: Run, Name, UpdateId
SELECT
    max(TimeGenerated) AS Time,
    UpdateRunName AS Run,
    Title AS Name,
    argMax(InstallationStatus, (TimeGenerated, ReportId)) AS Status,
    argMax(KBID, (TimeGenerated, ReportId)) AS KB,
    argMax(StartTime, (TimeGenerated, ReportId)) AS Started,
    argMax(EndTime, (TimeGenerated, ReportId)) AS Ended,
    argMax(ErrorResult, (TimeGenerated, ReportId)) AS Error,
    UpdateId
FROM UpdateRunProgress
WHERE SourceComputerId = {computer:String}
    AND TimeGenerated >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND TimeGenerated <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')
GROUP BY Run, Name, UpdateId
