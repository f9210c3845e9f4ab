from __future__ import annotations

from changeover.runner.own import schema as own_schema

BEFORE = """\
--
-- Name: users; Type: TABLE; Schema: public; Owner: me
--

CREATE TABLE public.users (
    id integer NOT NULL
);
"""
TOOL = """\
--
-- Name: steps; Type: TABLE; Schema: public; Owner: me
--

CREATE TABLE public.steps (
    id integer NOT NULL
);

--
-- Name: steps_id_seq; Type: SEQUENCE; Schema: public; Owner: me
--

CREATE SEQUENCE public.steps_id_seq;

--
-- Name: steps id; Type: DEFAULT; Schema: public; Owner: me
--

ALTER TABLE ONLY public.steps ALTER COLUMN id SET DEFAULT nextval('public.steps_id_seq'::regclass);

--
-- Name: by_name; Type: INDEX; Schema: public; Owner: me
--

CREATE INDEX by_name ON public.steps USING btree (name);

--
-- Name: TABLE steps; Type: ACL; Schema: public; Owner: me
--

GRANT SELECT ON TABLE public.steps TO app;
"""
AFTER = BEFORE.replace("NOT NULL", "NOT NULL,\n    name text")


def test_changed_lines_are_given_without_comments_and_empty_lines() -> None:
    assert own_schema.changes(BEFORE, AFTER) == ("+    name text",)
    assert own_schema.changes(BEFORE, f"-- another comment\n\n{BEFORE}") == ()


def test_a_tool_s_own_table_is_left_out_with_all_that_belongs_to_it() -> None:
    assert own_schema.changes(BEFORE, AFTER + TOOL, without=["steps"]) == own_schema.changes(
        BEFORE, AFTER
    )
    assert own_schema.digest(BEFORE + TOOL, ["public.steps"]) == own_schema.digest(BEFORE, [])


def test_another_table_of_a_similar_name_is_not() -> None:
    other = TOOL.replace("steps", "steps_of_users")

    changes = own_schema.changes(BEFORE, BEFORE + other, without=["steps"])
    assert "+CREATE TABLE public.steps_of_users (" in changes
