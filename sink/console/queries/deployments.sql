-- Update deployments as they are defined now.
-- Parameter status: Scheduled | Running | Completed
-- Parameter search: part of the name, in any case
-- Sort: Name, Schedule, StartTime, Duration, Servers, Status, NextStart, LastStart
-- Key: Name
SELECT
    Name, Schedule, StartTime, Duration, Servers, Status, StatusGroup, NextStart, LastStart, OSType, TimeZone,
    arrayStringConcat(Classifications, ', ') AS Classifications
FROM UpdateDeployment
WHERE ({status:String} = '' OR StatusGroup = {status:String})
    AND positionCaseInsensitiveUTF8(Name, {search:String}) > 0
