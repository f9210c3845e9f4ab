SELECT to_regclass('websocket_sessions') IS NOT NULL;
