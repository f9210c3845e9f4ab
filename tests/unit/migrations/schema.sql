CREATE SCHEMA other;
CREATE TABLE users (
    id bigint PRIMARY KEY,
    name varchar(40),
    age int,
    born date,
    CONSTRAINT grown CHECK (age > 0) NOT VALID
);
CREATE TABLE orders (
    id bigint PRIMARY KEY,
    user_id bigint,
    CONSTRAINT orders_user FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID
);
CREATE TABLE parent (id int NOT NULL) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF parent FOR VALUES IN (1);
CREATE TABLE loose (id int NOT NULL);
CREATE TABLE child () INHERITS (loose);
CREATE TABLE single (id int NOT NULL);
CREATE INDEX users_name ON users (name);
CREATE UNIQUE INDEX users_age ON users (age);
CREATE SEQUENCE numbers;
CREATE VIEW adults AS SELECT id FROM users WHERE age > 17;
CREATE MATERIALIZED VIEW counts AS SELECT count(*) AS n FROM orders;
CREATE UNIQUE INDEX counts_n ON counts (n);
CREATE TYPE mood AS ENUM ('calm');
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION volatile_number() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE TRIGGER watch BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE POLICY own ON users USING (true);
