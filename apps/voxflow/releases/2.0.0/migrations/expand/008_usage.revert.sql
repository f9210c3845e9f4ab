DROP TABLE usage_records;
DROP TABLE usage_days;
