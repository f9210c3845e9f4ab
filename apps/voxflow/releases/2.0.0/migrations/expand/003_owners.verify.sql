SELECT count(*) = 6 FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name IN ('agents', 'campaigns')
  AND column_name IN ('owner_id', 'shared', 'made_by');
