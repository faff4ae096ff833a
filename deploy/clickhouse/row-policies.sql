-- Who may see which rows, by the workspace or management group that a computer reports for. An example: put your
-- own names in, and run it as the administrator after `patchline-sink migrate`.
--
-- A table with policies shows a user the rows of those that name the user or a role of the user; the last one here
-- keeps everybody else's view whole. Views read their tables with the asker's rights, so the policies hold for
-- Update, UpdateHistory and all others.

CREATE ROLE IF NOT EXISTS contoso_analyst;
GRANT patchline_analyst TO contoso_analyst;

CREATE ROW POLICY IF NOT EXISTS contoso ON
    patchline.update_rows,
    patchline.update_summary_rows,
    patchline.update_run_progress_rows,
    patchline.heartbeat_rows,
    patchline.event_rows
    USING ManagementGroupName IN ('Contoso', 'AOI-00000000-0000-0000-0000-000000000000')
    TO contoso_analyst;

-- What the history's rows are of is said inside them; those of all scans of a computer say nothing but its times.
CREATE ROW POLICY IF NOT EXISTS contoso_history ON patchline.update_history_rows
    USING NOT OfUpdate OR Newest.ManagementGroupName IN ('Contoso', 'AOI-00000000-0000-0000-0000-000000000000')
    TO contoso_analyst;

-- No computer's: records of the whole installation, which a group's analysts do not need.
CREATE ROW POLICY IF NOT EXISTS contoso_nothing ON
    patchline.office_activity_rows,
    patchline.custom_rows,
    patchline.update_deployment_rows
    USING false
    TO contoso_analyst;

CREATE ROW POLICY IF NOT EXISTS everybody_else ON
    patchline.update_rows,
    patchline.update_summary_rows,
    patchline.update_run_progress_rows,
    patchline.heartbeat_rows,
    patchline.event_rows,
    patchline.update_history_rows,
    patchline.office_activity_rows,
    patchline.custom_rows,
    patchline.update_deployment_rows
    USING true
    TO ALL EXCEPT contoso_analyst;
