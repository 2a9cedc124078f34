-- The account that one was made part of, whose sign-in leads there from then on. Such an account may not act itself.
ALTER TABLE users ADD COLUMN redirect_user_uuid TEXT;
