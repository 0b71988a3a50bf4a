namespace MultiAgent.Testing;

/// <summary>Where things lie in the working copy that the tests were built from.</summary>
public static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary><c>Debug</c> or <c>Release</c>, as the tests were built.</summary>
    public static string Configuration { get; } = Directory.GetParent(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar))!.Name;

    /// <summary>Full path of a file or folder that is named from the root.</summary>
    public static string At(string path) => Path.Combine(Root, path);

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "MultiAgentPlatform.slnx"))) return folder.FullName;
        throw new DirectoryNotFoundException("The tests do not lie in the repository.");
    }
}
