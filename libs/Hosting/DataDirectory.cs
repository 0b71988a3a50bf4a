using MultiAgent.Data;

namespace MultiAgent.Hosting;

/// <summary>The data folder: created, checked to be writable, and locked against a second process.</summary>
internal sealed class DataDirectory : IDisposable
{
    private FileStream? _lock;

    /// <exception cref="StartupException">The folder cannot be made or written, or another process uses it.</exception>
    public void Prepare(DataOptions options)
    {
        string full = Path.GetFullPath(options.Directory);
        try
        {
            Directory.CreateDirectory(full);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new StartupException($"The data folder '{full}' cannot be created ({e.Message}). Set MAAP_DATA_DIR to a folder that this user can write.", e);
        }
        string lockFile = Path.Combine(full, ".lock");
        try
        {
            _lock = new FileStream(lockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new StartupException($"The data folder '{full}' is not writable. Set MAAP_DATA_DIR to a folder that this user can write.", e);
        }
        catch (IOException e)
        {
            bool readOnly = e.Message.Contains("Read-only", StringComparison.OrdinalIgnoreCase);
            throw new StartupException(readOnly
                ? $"The data folder '{full}' is not writable. Set MAAP_DATA_DIR to a folder that this user can write."
                : $"The data folder '{full}' is in use by another process. Stop it, or set MAAP_DATA_DIR to another folder.", e);
        }
    }

    public void Dispose() => _lock?.Dispose();
}
