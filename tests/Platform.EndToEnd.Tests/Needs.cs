namespace MultiAgent.Platform.EndToEnd.Tests;

/// <summary>Programs that a laptop may lack. Continuous integration must have them.</summary>
internal static class Needs
{
    /// <summary>Full path of a program; without it the test is skipped, or fails under <c>CI=true</c>.</summary>
    public static string Program(params string[] names)
    {
        string? found = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => names.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);
        return found ?? Missing($"{names[0]} is not installed; eng/test.sh installs it.");
    }

    public static void Folder(string path, string why)
    {
        if (!Directory.Exists(path)) Missing(why);
    }

    private static string Missing(string why)
    {
        if (Environment.GetEnvironmentVariable("CI") == "true") Assert.Fail(why);
        Assert.Skip(why);
        return "";
    }
}
