namespace MultiAgent.Testing;

/// <summary>A folder that is deleted at the end of a test.</summary>
public sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("maap-test-").FullName;

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (IOException)
        {
            // A killed process may still be letting go of its files; the system clears its temporary folder.
        }
    }
}
