create table greetings (id bigint generated always as identity primary key, words text);
