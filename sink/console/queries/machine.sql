-- One computer, as it stood at the end of the time range, and what its newest heartbeat says of it.
-- Parameter computer: SourceComputerId
-- Required: computer
WITH computers AS (@computers)
SELECT
    computers.Computer AS Computer, computers.OSType AS OSType, OSVersion, ManagementGroup, State, Readiness,
    LastSeen, LastAssessed, Critical, Security, Other, OldestDays, Age, RestartPending, WindowsUpdate,
    beat.OSName AS OSName, beat.Category AS Category, beat.Version AS AgentVersion, beat.ComputerIP AS ComputerIP,
    beat.Solutions AS Solutions, beat.ComputerEnvironment AS ComputerEnvironment, beat.ResourceId AS ResourceId,
    beat.TimeGenerated AS LastHeartbeat,
    computers.SourceComputerId AS SourceComputerId
FROM computers
LEFT JOIN
(
    SELECT
        SourceComputerId, OSName, Category, Version, ComputerIP, Solutions, ComputerEnvironment, ResourceId,
        toNullable(TimeGenerated) AS TimeGenerated
    FROM heartbeat_rows
    WHERE SourceComputerId = {computer:String}
    ORDER BY heartbeat_rows.TimeGenerated DESC
    LIMIT 1
) AS beat ON beat.SourceComputerId = computers.SourceComputerId
LIMIT 1
