using System.Reflection;
using System.Xml.Linq;

namespace MultiAgent.Architecture.Tests;

/// <summary>References run one way: apps to libs to Contracts. Services meet in the all-in-one host only.</summary>
public sealed class ReferenceTests
{
    private static readonly Dictionary<string, string[]> Projects = new[] { "apps", "libs", "data-plane" }
        .SelectMany(folder => Directory.EnumerateFiles(Repository.At(folder), "*.csproj", SearchOption.AllDirectories))
        .Select(Relative).ToDictionary(p => p, ReferencesOf);

    public static TheoryData<string> All => [.. Projects.Keys];

    [Fact]
    public void Projects_OfTheRepository_AreFound() => Assert.True(Projects.Count >= 11, string.Join(' ', Projects.Keys));

    [Theory]
    [MemberData(nameof(All))]
    public void Project_OfEachKind_ReferencesOnlyWhatLiesBelow(string project)
    {
        string[] allowed = project switch
        {
            "libs/Contracts/MultiAgent.Contracts.csproj" or "data-plane/MultiAgent.DataPlane.csproj" => [],
            "apps/platform/MultiAgent.Platform.csproj" => ["apps/", "libs/"],
            _ when project.StartsWith("apps/", StringComparison.Ordinal) => ["libs/"],
            _ => ["libs/", "data-plane/"],
        };

        Assert.All(Projects[project], reference => Assert.True(allowed.Any(a => reference.StartsWith(a, StringComparison.Ordinal)), $"{project} must not reference {reference}."));
    }

    [Fact]
    public void Services_AreReferencedBy_TheAllInOneHostOnly()
    {
        Dictionary<string, int> services = Projects.ToDictionary(p => p.Key, p => p.Value.Count(r => r.StartsWith("apps/", StringComparison.Ordinal)));

        Assert.All(services, s => Assert.True(s.Value == 0 || s.Key == "apps/platform/MultiAgent.Platform.csproj", $"{s.Key} references a service."));
        Assert.True(services["apps/platform/MultiAgent.Platform.csproj"] >= 4);
    }

    [Fact]
    public void Assemblies_AsBuilt_ReferenceNoOtherService()
    {
        Assembly[] services = [.. Sources.Assemblies.Where(a => Sources.Services.Contains(a.GetName().Name))];

        Assert.Equal(Sources.Services.Count, services.Length);
        foreach (Assembly service in services)
            Assert.DoesNotContain(service.GetReferencedAssemblies(), r => Sources.Services.Contains(r.Name) && r.Name != service.GetName().Name);
        foreach (Assembly library in Sources.Assemblies.Except(services).Where(a => a.GetName().Name != "MultiAgent.Platform"))
            Assert.DoesNotContain(library.GetReferencedAssemblies(), r => Sources.Services.Contains(r.Name));
        Assert.DoesNotContain(Sources.Assemblies.Single(a => a.GetName().Name == "MultiAgent.Contracts").GetReferencedAssemblies(), r => r.Name!.StartsWith("MultiAgent.", StringComparison.Ordinal));
    }

    [Fact]
    public void Internals_AreVisibleTo_TestsAndBenchmarksOnly()
    {
        HashSet<string> outside = [.. ((string[])["tests", "bench"]).SelectMany(folder => Directory.EnumerateFiles(Repository.At(folder), "*.csproj", SearchOption.AllDirectories)).Select(p => Path.GetFileNameWithoutExtension(p))];
        string[] friends = [.. Projects.Keys.SelectMany(p => XDocument.Load(Repository.At(p)).Descendants("InternalsVisibleTo").Select(e => (string)e.Attribute("Include")!))];

        Assert.NotEmpty(friends);
        Assert.All(friends, f => Assert.Contains(f, outside));
    }

    private static string[] ReferencesOf(string project) => [.. XDocument.Load(Repository.At(project)).Descendants("ProjectReference")
        .Select(r => Relative(Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Repository.At(project))!, ((string)r.Attribute("Include")!).Replace('\\', '/')))))];

    private static string Relative(string path) => Path.GetRelativePath(Repository.Root, path).Replace('\\', '/');
}
