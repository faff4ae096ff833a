-- One update deployment as it is defined now.
-- Parameter name: name of the update deployment
-- Required: name
SELECT
    Name, Schedule, StartTime, Duration, Servers, Status, StatusGroup, NextStart, LastStart, OSType, TimeZone,
    arrayStringConcat(Computers, ', ') AS Computers,
    arrayStringConcat(ComputerGroups, ', ') AS ComputerGroups,
    arrayStringConcat(Classifications, ', ') AS Classifications,
    arrayStringConcat(Exclusions, ', ') AS Exclusions
FROM UpdateDeployment
WHERE Name = {name:String}
LIMIT 1
