using System.CommandLine;
using MultiAgent.Maap.Events;

var root = new RootCommand("maap, the operator's command line of the Multi-AI-Agent Platform. It reads the settings that the services read: NATS_URL, MAAP_DATA_DIR, appsettings.json.");
root.Subcommands.Add(EventsCommand.Create());
return await root.Parse(args).InvokeAsync();
