-- Computers of a run by system and status.
-- Parameter name: name of the update deployment
-- Parameter run: when the run started; empty for the newest run
-- Required: name
SELECT OSType, Status, count() AS Computers
FROM UpdateDeploymentComputers
WHERE Name = {name:String}
    AND if({run:String} = '', IsNewestRun, RunStart = parseDateTime64BestEffortOrZero({run:String}, 3, 'UTC'))
GROUP BY OSType, Status
ORDER BY OSType, Computers DESC, Status
LIMIT 100
