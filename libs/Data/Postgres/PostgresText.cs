namespace MultiAgent.Data.Postgres;

/// <summary>Texts of PostgreSQL hold every character but NUL, which JSON can carry and SQLite keeps.</summary>
public static class PostgresText
{
    /// <summary>The text with each NUL replaced by the character that Unicode has for what cannot be shown.</summary>
    public static string? Storable(string? text) => text is null || !text.Contains('\0', StringComparison.Ordinal) ? text : text.Replace('\0', '\uFFFD');
}
