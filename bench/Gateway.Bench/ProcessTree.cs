using System.Globalization;

namespace MultiAgent.Bench.Gateway;

/// <summary>CPU time and memory of a process and its descendants, as Linux counts them.</summary>
internal static class ProcessTree
{
    // USER_HZ, in which /proc counts CPU time, is 100 on every Linux platform that .NET runs on.
    private const double TicksPerSecond = 100;

    public static double CpuSeconds(int root)
    {
        var ticks = 0L;
        foreach (var process in Members(root))
            // Children that ended are in the parent's own count; live ones are members themselves.
            ticks += process.User + process.System + process.EndedChildren;
        return ticks / TicksPerSecond;
    }

    /// <summary>CPU time of all processes of the machine since it started, without interrupts.</summary>
    public static double MachineCpuSeconds()
    {
        var fields = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields[1..4].Sum(field => long.Parse(field, CultureInfo.InvariantCulture)) / TicksPerSecond; // user, nice, system
    }

    public static long ResidentBytes(int root) => Members(root).Sum(process => ReadResidentBytes(process.Id));

    private static List<Stat> Members(int root)
    {
        var all = new List<Stat>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
            if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var id) && ReadStat(id) is { } stat)
                all.Add(stat);

        var members = all.Where(process => process.Id == root).ToList();
        for (var i = 0; i < members.Count; i++)
            members.AddRange(all.Where(process => process.Parent == members[i].Id));
        return members;
    }

    private static Stat? ReadStat(int id)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{id}/stat");
            // The command's name is in parentheses and may hold spaces; the fields after it are numbers.
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return new Stat(id, (int)Field(1), Field(11), Field(12), Field(13) + Field(14));

            long Field(int index) => long.Parse(fields[index], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null; // it ended while we looked
        }
    }

    private static long ReadResidentBytes(int id)
    {
        try
        {
            var line = File.ReadLines($"/proc/{id}/status").FirstOrDefault(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private sealed record Stat(int Id, int Parent, long User, long System, long EndedChildren);
}
