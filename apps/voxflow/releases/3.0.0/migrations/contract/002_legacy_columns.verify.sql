SELECT NOT EXISTS (
    SELECT FROM information_schema.columns
    WHERE table_schema = current_schema() AND column_name IN ('shared', 'made_by', 'contract')
      AND table_name IN ('agents', 'campaigns', 'users')
);
