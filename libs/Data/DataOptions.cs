namespace MultiAgent.Data;

/// <summary>Whether statements are prepared.</summary>
public enum PreparedStatements
{
    /// <summary>Where the process reaches the server itself.</summary>
    Auto,
    On,
    Off,
}

/// <summary>Section <c>Data</c>: where and how data is kept. Without a <see cref="DatabaseUrl"/> in SQLite files, with one in PostgreSQL.</summary>
public sealed class DataOptions
{
    /// <summary>Folder of the database files and spools; created when missing. Default <c>./data</c>; <c>MAAP_DATA_DIR</c> sets it too.</summary>
    public string Directory { get; set; } = "data";

    /// <summary>
    /// True (default): a commit is synced to disk before it is acknowledged, so that it survives a power cut. False: it
    /// survives the death of the process but a power cut may take the last moments. SQLite only.
    /// </summary>
    public bool SyncEveryCommit { get; set; } = true;

    /// <summary>Writes that may wait per database before new ones are refused with 503. Default 20 000.</summary>
    public int WriteQueueCapacity { get; set; } = 20_000;

    /// <summary>
    /// PostgreSQL in place of SQLite: a URL (<c>postgres://user:password@host:5432/database?sslmode=verify-full</c>) or a connection string of Npgsql.
    /// <c>DATABASE_URL</c> sets it too, and goes before it.
    /// </summary>
    public string? DatabaseUrl { get; set; }

    /// <summary>A read replica of the same database, for analytics. <c>DATABASE_REPLICA_URL</c> sets it too, and goes before it.</summary>
    public string? DatabaseReplicaUrl { get; set; }

    /// <summary>The database as its owner, for migrations and roles. <c>DATABASE_ADMIN_URL</c> sets it too, and goes before it. Default: the same as <see cref="DatabaseUrl"/>.</summary>
    public string? DatabaseAdminUrl { get; set; }

    /// <summary>True (default): what the schema lacks is applied at the start, by one replica while the others wait. False: the start fails instead.</summary>
    public bool MigrateOnStart { get; set; } = true;

    /// <summary>Connections of this process to PostgreSQL, at most; as many again to the replica. Default 40; 5 to 1 000.</summary>
    public int MaxConnections { get; set; } = 40;

    /// <summary>
    /// Whether statements that come again are prepared on PostgreSQL. <c>Auto</c> (default): where the process reaches the server itself and not a pooler, as it finds out at the start.
    /// <c>On</c> needs a pooler that knows prepared statements (PgBouncer from 1.21 with <c>max_prepared_statements</c>).
    /// </summary>
    public PreparedStatements PreparedStatements { get; set; }

    /// <summary>Seconds that a statement may take on PostgreSQL. Default 30; 1 to 3 600.</summary>
    public int StatementTimeoutSeconds { get; set; } = 30;

    /// <summary>Days that the events of a run stay. Default 180; 0 for ever.</summary>
    public int RunEventDays { get; set; } = 180;

    /// <summary>Days that usage records stay. Default 400; 0 for ever.</summary>
    public int UsageDays { get; set; } = 400;

    /// <summary>Days that journeys and their steps stay. Default 400; 0 for ever.</summary>
    public int JourneyDays { get; set; } = 400;

    /// <summary>Days that the log of requests stays. Default 30; 0 for ever.</summary>
    public int RequestDays { get; set; } = 30;

    /// <summary>True when the services' data lies in PostgreSQL.</summary>
    internal bool UsesPostgres => !string.IsNullOrWhiteSpace(DatabaseUrl);

    /// <summary>What is wrong with the settings; null when nothing is.</summary>
    internal string? Problem()
    {
        foreach ((string name, string? url) in ((string, string?)[])[("DATABASE_URL (or Data:DatabaseUrl)", DatabaseUrl), ("DATABASE_REPLICA_URL (or Data:DatabaseReplicaUrl)", DatabaseReplicaUrl), ("DATABASE_ADMIN_URL (or Data:DatabaseAdminUrl)", DatabaseAdminUrl)])
            if (!string.IsNullOrWhiteSpace(url) && !Postgres.PostgresUrl.TryParse(url, out _, out string? problem)) return $"{name} {problem}";
        if (!UsesPostgres && !string.IsNullOrWhiteSpace(DatabaseReplicaUrl)) return "DATABASE_REPLICA_URL is set but DATABASE_URL is not. Set both, or neither.";
        if (MaxConnections is < 5 or > 1000) return "Data:MaxConnections must be between 5 and 1000.";
        if (StatementTimeoutSeconds is < 1 or > 3600) return "Data:StatementTimeoutSeconds must be between 1 and 3600.";
        return ((int[])[RunEventDays, UsageDays, JourneyDays, RequestDays]).Any(d => d is < 0 or > 36_500) ? "Data:RunEventDays, UsageDays, JourneyDays and RequestDays must be between 0 and 36500." : null;
    }
}
