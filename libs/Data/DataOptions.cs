namespace MultiAgent.Data;

/// <summary>Section <c>Data</c>: where and how the embedded storage keeps its files.</summary>
public sealed class DataOptions
{
    /// <summary>Folder of the database files and spools; created when missing. Default <c>./data</c>; <c>MAAP_DATA_DIR</c> sets it too.</summary>
    public string Directory { get; set; } = "data";

    /// <summary>
    /// True (default): a commit is synced to disk before it is acknowledged, so that it survives a power cut. False: it
    /// survives the death of the process but a power cut may take the last moments.
    /// </summary>
    public bool SyncEveryCommit { get; set; } = true;

    /// <summary>Writes that may wait per database before new ones are refused with 503. Default 20 000.</summary>
    public int WriteQueueCapacity { get; set; } = 20_000;
}
