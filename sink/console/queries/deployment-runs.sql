-- The runs of an update deployment that have begun, newest first.
-- Parameter name: name of the update deployment
-- Required: name
SELECT RunStart, max(RunEnd) AS RunEnd, count() AS Computers, countIf(Status = 'Succeeded') AS Succeeded
FROM UpdateDeploymentComputers
WHERE Name = {name:String}
GROUP BY RunStart
ORDER BY RunStart DESC
LIMIT 200
