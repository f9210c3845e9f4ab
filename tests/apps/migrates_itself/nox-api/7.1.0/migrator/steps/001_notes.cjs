exports.up = (pgm) => {
  pgm.createTable("notes", {
    id: "id",
    user_id: { type: "uuid", notNull: true, references: "users" },
    text: { type: "text", notNull: true },
  });
  pgm.addColumn("users", { nickname: { type: "text" } });
};

exports.down = (pgm) => {
  pgm.dropColumn("users", "nickname");
  pgm.dropTable("notes");
};
