-- Ingestion latency (end-to-end) spikes in the last 24 hours
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // Ingestion latency (end-to-end) spikes - Heartbeat table
--   // Check for latency spikes in the ingestion of Heartbeats in the last 24 hour.
--   // This query calculates ingestion duration every 10 minutes, and looks for spikes
--   let StartTime = ago(24h);
--   let EndTime = now();
--   let MinRSquare = 0.9; // Tune the sensitivity of the detection sensor. Higher numbers make the detector more sensitive
--   Heartbeat
--   | where TimeGenerated between (StartTime .. EndTime)
--   // calculate ingestion duration in seconds
--   | extend IngestionDurationSeconds = (ingestion_time()-TimeGenerated)/1s
--   // Create a time series
--   | make-series RatioSeries=avg(IngestionDurationSeconds) default=0 on TimeGenerated in range(StartTime , EndTime,10m)
--   // Apply a 2-line regression to the time series
--   | extend (RSquare2, SplitIdx, Variance2, RVariance2, LineFit2) = series_fit_2lines(RatioSeries)
--   // Find out if our 2-line is trending up or down
--   |extend (Slope, Interception, RSquare, Variance, RVariance, LineFit) = series_fit_line(LineFit2)
--   // Check whether the line fit reaches the threshold, and if the spike represents an increase (rather than a decrease)
--   | project PatternMatch = iff(RSquare2 > MinRSquare and Slope>0, "Spike detected", "No spike")
-- Note: When a row was stored is not kept: a batch reads no clock, so that repeating it gives the
-- same. Seconds lie between the arrival at the gateway, TimeReceived, and the table; so the latency
-- up to there is asked for.
WITH
    now() - INTERVAL 24 HOUR AS StartTime,
    now() AS EndTime,
    0.9 AS MinRSquare,
    -- What a straight line through a series leaves unexplained: the sum of the squared distances.
    (ys -> length(ys) * (arrayReduce('varPop', ys)
        - pow(arrayReduce('covarPop', range(length(ys)), ys), 2) / arrayReduce('varPop', range(length(ys))))) AS Unexplained,
    -- That line, as a series of the same length.
    (ys -> arrayMap(x -> arrayReduce('avg', ys) + (x - (length(ys) - 1) / 2)
        * arrayReduce('covarPop', range(length(ys)), ys) / arrayReduce('varPop', range(length(ys))),
        range(length(ys)))) AS Line
SELECT if(RSquare2 > MinRSquare AND Slope > 0, 'Spike detected', 'No spike') AS PatternMatch
FROM
(
    SELECT
        Series,
        -- The place at which two lines, one before it and one behind, explain most.
        arraySort(split -> Unexplained(arraySlice(Series, 1, split)) + Unexplained(arraySlice(Series, split + 1)),
            range(2, length(Series) - 1))[1] AS Split,
        arrayConcat(Line(arraySlice(Series, 1, Split)), Line(arraySlice(Series, Split + 1))) AS LineFit2,
        arrayReduce('varPop', Series) AS Variance2,
        arrayReduce('varPop', arrayMap((y, fit) -> y - fit, Series, LineFit2)) AS RVariance2,
        if(Variance2 = 0, 0, 1 - RVariance2 / Variance2) AS RSquare2,
        arrayReduce('covarPop', range(length(Series)), LineFit2) AS Slope
    FROM
    (
        -- A value every ten minutes, 0 where there was no heartbeat.
        SELECT groupArrayInsertAt(0., 145)(Latency, toUInt32(Bin)) AS Series
        FROM
        (
            SELECT
                intDiv(dateDiff('second', StartTime, TimeGenerated), 600) AS Bin,
                avg(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Latency
            FROM Heartbeat
            WHERE TimeGenerated BETWEEN StartTime AND EndTime
            GROUP BY Bin
        )
    )
)
