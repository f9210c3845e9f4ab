SELECT column_default LIKE '''tenant''%' FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'users' AND column_name = 'contract';
